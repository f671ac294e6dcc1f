"""The line with mosquitto and paho, and with pymodbus as the PLC."""

import json
import os
import random
import shutil
import subprocess
import time

import paho.mqtt.client as mqtt
import pytest
from conftest import Running, arrive, drawn, free_port, wait_for
from pymodbus.client import ModbusTcpClient

READY, ACK, BUSY, DONE, VALID, PASSED, FAULT, OVERRUN, REVIEW, REJECTED = range(10)
TRIGGER, RESULTS_ACK = 0, 1


def records(folder):
    file = folder / "records.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class Broker:
    def __init__(self, port, config=None):
        self.port = port
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        how = ["-c", str(config)] if config else ["-p", str(port)]
        self.process = subprocess.Popen([program, *how], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Listener:
    """What a subscriber has seen."""

    def __init__(self, port, **tls):
        self.messages = []
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        if tls:
            self.client.tls_set(**tls)
        self.client.on_connect = lambda client, *_: client.subscribe("plant/#", qos=1)
        self.client.on_message = lambda _c, _u, m: self.messages.append((m.topic, json.loads(m.payload), m.retain))
        wait_for("the broker", lambda: self.connect(port))
        self.client.loop_start()

    def connect(self, port):
        try:
            return self.client.connect("127.0.0.1", port) == mqtt.MQTT_ERR_SUCCESS
        except OSError:
            return False

    def state(self):
        states = [payload["state"] for topic, payload, _ in self.messages if topic == "plant/state"]
        return states[-1] if states else None

    def results(self):
        return [payload for topic, payload, _ in self.messages if topic == "plant/result"]

    def stop(self):
        self.client.loop_stop()
        self.client.disconnect()


def watch(scene, name, *more):
    (scene / name).mkdir()
    return Running(scene, "watch", name, "--model", "m.bgad", "--out", f"{name}-out", "--settle", "0.1",
                   "--http", "127.0.0.1:0", *more)


def test_mqtt(scene):
    port = free_port()
    broker, listener = Broker(port), None
    try:
        listener = Listener(port)
        running = watch(scene, "mqtt", "--mqtt", f"127.0.0.1:{port}", "--topic", "plant")
        wait_for("ready", lambda: listener.state() == "ready")
        arrive(scene, "mqtt", "a.png", drawn(5000))
        arrive(scene, "mqtt", "b.png", drawn(5001, (20, 20)))
        told = wait_for("results", lambda: len(listener.results()) == 2 and listener.results())
        kept = [{k: v for k, v in record.items() if k != "source"} for record in records(scene / "mqtt-out")]
        # Two frames of one moment may be judged in any order.
        assert sorted(told, key=lambda r: r["id"]) == sorted(kept, key=lambda r: r["id"])

        # The broker is away; what was judged meanwhile comes when it is back.
        listener.stop()
        broker.stop()
        arrive(scene, "mqtt", "c.png", drawn(5002))
        wait_for("the record", lambda: len(records(scene / "mqtt-out")) == 3)
        broker = Broker(port)
        listener = Listener(port)
        wait_for("ready", lambda: listener.state() == "ready")
        arrive(scene, "mqtt", "d.png", drawn(5003))
        wait_for("both", lambda: {r["file"] for r in listener.results()} >= {"d.png"})

        # A kill is a fault, by the last will; whoever comes later hears it too, and no result of an earlier part.
        running.process.kill()
        running.process.wait()
        wait_for("a fault", lambda: listener.state() == "fault")
        late = Listener(port)
        wait_for("the state", late.state)
        time.sleep(0.5)
        assert late.state() == "fault" and late.results() == []
        late.stop()
    finally:
        if listener:
            listener.stop()
        broker.stop()


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certificates(folder, *names):
    """An authority and, signed by it, a certificate of this machine for each name."""
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1")
    for name in names:
        openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "san", "-out", f"{name}.pem")


def test_mqtt_over_tls(scene, tmp_path):
    """A broker that asks for certificates; one of another authority is not told anything."""
    ours, others = tmp_path / "ours", tmp_path / "others"
    for folder in (ours, others):
        folder.mkdir()
        certificates(folder, "broker", "line")
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\ncafile {ours}/ca.pem\ncertfile {ours}/broker.pem\nkeyfile {ours}/broker.key\n"
                      "require_certificate true\nallow_anonymous true\nuser root\n")
    broker, listener, lines = Broker(port, config), None, []
    try:
        listener = Listener(port, ca_certs=ours / "ca.pem", certfile=ours / "line.pem", keyfile=ours / "line.key")

        def line(name, folder, *more):
            lines.append(watch(scene, name, "--mqtt", f"127.0.0.1:{port}", "--topic", "plant", "--mqtt-ca", folder / "ca.pem", *more))
            arrive(scene, name, f"{name}.png", drawn(6000))
            wait_for("the record", lambda: records(scene / f"{name}-out"))
            return lines[-1]

        # Whom they do not trust, and who does not trust them, get nothing; parts are judged all the same.
        line("untrusting", others, "--mqtt-cert", ours / "line.pem", "--mqtt-key", ours / "line.key")
        line("unknown", ours)
        time.sleep(2.5)
        assert listener.messages == []
        line("trusted", ours, "--mqtt-cert", ours / "line.pem", "--mqtt-key", ours / "line.key")
        told = wait_for("the result", listener.results)
        assert [record["file"] for record in told] == ["trusted.png"] and listener.state() == "ready"
    finally:
        for running in lines:
            running.process.kill()
            running.process.wait()
        if listener:
            listener.stop()
        broker.stop()


class Plc:
    def __init__(self, address):
        host, port = address.split(":")
        self.client = ModbusTcpClient(host, port=int(port))
        assert self.client.connect()

    def bits(self):
        return self.client.read_discrete_inputs(0, count=10).bits[:10]

    def inputs(self):
        return self.client.read_input_registers(0, count=32).registers

    def coil(self, coil, on):
        assert not self.client.write_coil(coil, on).isError()

    def wait(self, bit, on=True, seconds=30):
        return wait_for(f"bit {bit} {on}", lambda: (lambda bits: bits[bit] == on and bits)(self.bits()), seconds)

    def trigger(self, part_id):
        text = part_id.encode().ljust(32, b"\0")
        words = [int.from_bytes(text[i : i + 2], "big") for i in range(0, 32, 2)]
        assert not self.client.write_registers(0, words).isError()
        self.wait(READY)
        self.coil(TRIGGER, True)
        self.wait(ACK)
        self.coil(TRIGGER, False)

    def result(self):
        """Bits and registers of one moment, then the acknowledgement."""
        self.wait(DONE)
        inputs = self.inputs()
        self.coil(RESULTS_ACK, True)
        bits = self.bits()
        assert not bits[VALID] and not bits[PASSED]
        self.coil(RESULTS_ACK, False)
        return inputs


@pytest.fixture
def plc_line(scene, request):
    name = f"plc-{request.node.name}"
    running = watch(scene, name, "--modbus", "127.0.0.1:0", "--triggered", "--trigger-timeout", "0.5", "--keep-ok", "0")
    yield name, running, Plc(running.at["modbus"])
    running.process.kill()
    running.process.wait()


def test_parts_through_the_handshake(scene, plc_line):
    """Good, bad, broken and missing pictures in any order: not one OK that was not judged OK."""
    name, running, plc = plc_line
    count = int(os.environ.get("BGAD_PARTS", "200"))
    chance, told, passed = random.Random(7), {}, 0
    for i in range(count):
        kind = chance.choice(["good", "good", "good", "bad", "broken", "missing"] if i % 10 else ["missing"])
        kind = kind if kind != "missing" or i % 10 == 0 else "good"
        plc.trigger(f"part-{i}")
        if kind == "broken":
            (scene / "arriving.tmp").write_bytes(b"no picture")
            (scene / "arriving.tmp").rename(scene / name / f"{i}.png")
        elif kind != "missing":
            arrive(scene, name, f"{i}.png", drawn(9000 + i, (20, 20) if kind == "bad" else None))
        inputs = plc.result()
        bits, verdict = inputs[2], inputs[3]
        part_id = b"".join(word.to_bytes(2, "big") for word in inputs[16:32]).rstrip(b"\0").decode()
        assert (part_id, inputs[1]) == (f"part-{i}", (i + 1) % 65536)
        if kind in ("broken", "missing"):
            assert verdict == 9 and bits >> FAULT & 1 and not bits >> VALID & 1 and not bits >> PASSED & 1
        told[part_id] = {1: "OK", 2: "REVIEW", 3: "NG", 9: None}[verdict]
        passed += bits >> PASSED & 1
    judged = {r["part_id"]: r["verdict"] for r in records(scene / f"{name}-out") if r["state"] == "completed"}
    assert {part: verdict for part, verdict in told.items() if verdict} == judged
    assert passed == sum(verdict == "OK" for verdict in judged.values()) > 0
    before = plc.inputs()[0]
    wait_for("the heartbeat", lambda: plc.inputs()[0] != before)


def test_a_kill_and_a_full_disk_are_no_ok(scene, plc_line):
    name, running, plc = plc_line
    out = scene / f"{name}-out"
    plc.trigger("first")
    arrive(scene, name, "first.png", drawn(8000))
    assert plc.result()[3] in (1, 2, 3)
    # From now on the disk is full.
    file = out / "records.jsonl"
    running.process.kill()
    running.process.wait()
    with pytest.raises(Exception):
        plc.bits()[READY]
    file.unlink()
    file.symlink_to("/dev/full")
    again = Running(scene, "watch", name, "--model", "m.bgad", "--out", f"{name}-out", "--settle", "0.1", "--http",
                    "127.0.0.1:0", "--modbus", "127.0.0.1:0", "--triggered", "--trigger-timeout", "5")
    try:
        plc = Plc(again.at["modbus"])
        plc.trigger("second")
        arrive(scene, name, "second.png", drawn(8001))
        inputs = plc.result()
        assert inputs[3] == 9 and inputs[2] >> FAULT & 1 and not inputs[2] >> PASSED & 1
    finally:
        again.stop()


def test_overrun(scene, plc_line):
    _, _, plc = plc_line
    plc.trigger("x")
    plc.coil(TRIGGER, True)
    plc.wait(OVERRUN)
    plc.coil(TRIGGER, False)
    plc.coil(2, True)
    plc.wait(OVERRUN, False)
