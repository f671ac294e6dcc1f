#!/usr/bin/env python3
"""What `bgad serve` costs beside `bgad inspect`, and what it does when too much is asked of it.

usage: tools/doors/serve_load.py BGAD MODEL FOLDER_OF_PICTURES [ROUNDS]

Needs hey (Debian). bgad has core 0, hey core 1. Every round measures both commands, one after the other, so that what
else the machine does hits both; ratios are of a round, and their median is given with the lowest and the highest.

Latency at 70 % of the load is that of ten callers with a beat each, as ten cameras have. It depends on when they call, whatever the server does:
on one core with a constant service time the 99th percentile is 1 service time if the beats are spread evenly, 10 if all ten call at the same moment
(which is what one hey of ten callers does: `-q` starts all its clocks at once), and 7.3 for calls at random. Both ends are measured. For the same
reason the overload comes from many heys: between two bursts of 120 requests a queue of 16 runs empty.
"""

import csv
import io
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BGAD, MODEL, FOLDER = sys.argv[1:4]
ROUNDS = int(sys.argv[4]) if len(sys.argv) > 4 else 5
ON = {"bgad": ["taskset", "-c", "0"], "hey": ["taskset", "-c", "1"]}
# Those that wait in the queue ask for nothing more meanwhile.
QUEUE, CALLERS = 16, 120
PICTURES = sorted(path for path in Path(FOLDER).iterdir() if path.suffix.lower() in (".png", ".jpg", ".bmp"))[:60]


def inspect():
    """Images a second of `bgad inspect`, without its start: the difference of two runs."""
    def secs(pictures):
        began = time.monotonic()
        ran = subprocess.run([*ON["bgad"], BGAD, "inspect", MODEL, *map(str, pictures), "--threads", "1", "--format", "jsonl"],
                             capture_output=True)
        assert ran.returncode in (0, 1) and len(ran.stdout.splitlines()) == len(pictures), ran.stderr
        return time.monotonic() - began
    return (len(PICTURES) - 1) / (secs(PICTURES) - secs(PICTURES[:1]))


class Server:
    """A server on its core: bgad, or what the command starts."""

    def __init__(self, *more, command=None):
        command = command or [BGAD, "serve", MODEL, "--threads", "1", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", *more]
        self.process = subprocess.Popen([*ON["bgad"], *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.at = re.search(r"http://(\S+)", self.process.stdout.readline())[1]

    def memory(self, key):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{key}:\s+(\d+) kB", text)[1]) / 1024

    def begin(self, *how, picture):
        """Starts a hey; `rows` waits for it."""
        return subprocess.Popen([*ON["hey"], "hey", "-t", "60", "-m", "POST", "-T", "image/png", "-D", picture, "-o", "csv", *how,
                                 f"http://{self.at}/inspect"], stdout=subprocess.PIPE, text=True)

    def hey(self, *how, picture):
        return rows(self.begin(*how, picture=picture))

    def beats(self, clocks, callers, each, secs, picture):
        """`clocks` heys of so many callers with so many requests a second each, their beats spread evenly; offsets count from the first."""
        begun, first = [], time.monotonic()
        for _ in range(clocks):
            begun.append((time.monotonic() - first, self.begin("-z", f"{secs}s", "-c", str(callers), "-q", f"{each:.3f}", picture=picture)))
            time.sleep(1 / each / clocks)
        return [(took, code, at + offset) for at, one in begun for took, code, offset in rows(one)]

    def stop(self):
        self.process.terminate()
        # uvicorn ends by the signal that it got.
        assert self.process.wait(60) in (0, -15)


def rows(hey):
    """Seconds, status and offset of each request."""
    told = hey.communicate()[0]
    assert hey.returncode == 0, told
    return [(float(row["response-time"]), int(row["status-code"]), float(row["offset"])) for row in csv.DictReader(io.StringIO(told))]


def rate(found, status=200):
    """Answers of this status a second, from the first answer to the last."""
    at = sorted(offset + secs for secs, code, offset in found if code == status)
    return (len(at) - 1) / (at[-1] - at[0])


def share(values, at):
    return sorted(values)[min(len(values) - 1, int(at * len(values)))]


def told(what, values, form="{:.2f}"):
    text = " ".join(form.format(value) for value in (statistics.median(values), min(values), max(values)))
    middle, low, high = text.split()
    print(f"{what:60} {middle} ({low} to {high})", flush=True)


def closed_loops(server, picture):
    """(answers a second, 99th percentile in seconds) with 1, 2, 4 and 8 callers, each of whom asks again once answered."""
    server.hey("-n", "20", "-c", "2", picture=picture)
    found = []
    for callers in (1, 2, 4, 8):
        runs = server.hey("-z", "8s", "-c", str(callers), picture=picture)
        assert all(code == 200 for _, code, _ in runs)
        found.append((rate(runs), share([secs for secs, _, _ in runs], 0.99)))
    return found


def beside_peer(python):
    """FastAPI with ONNX Runtime serves what bgad exports; of bgad the most answers whose 99th percentile is no longer than the peer's."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "model.onnx")
        subprocess.run([BGAD, "export", MODEL, "-o", file], check=True, capture_output=True)
        peer = [python, str(Path(__file__).resolve().parents[1] / "peers/serve_fastapi.py"), file]
        ratios = []
        for _ in range(ROUNDS):
            of = {}
            for name, command in (("bgad", None), ("FastAPI", peer)):
                server = Server(command=command)
                of[name] = closed_loops(server, str(PICTURES[0]))
                server.stop()
                print(f"  {name:8}", ", ".join(f"{many:.1f}/s p99 {1000 * p99:.0f} ms" for many, p99 in of[name]), flush=True)
            most, p99 = max(of["FastAPI"])
            ratios.append(max((many for many, within in of["bgad"] if within <= p99), default=0) / most)
        told("answers a second at the same p99, of FastAPI's most", ratios)


def main():
    # One picture for both, many times: the same work.
    picture = str(PICTURES[0])
    with tempfile.TemporaryDirectory() as folder:
        copies = []
        for i in range(len(PICTURES)):
            copy = Path(folder) / f"{i:03}{PICTURES[0].suffix}"
            copy.write_bytes(PICTURES[0].read_bytes())
            copies.append(copy)
        PICTURES[:] = copies
        ratios, service, spread, together, answered, refused = [], [], [], [], [], []
        for _ in range(ROUNDS):
            server = Server("--queue", str(QUEUE))
            server.hey("-n", "10", "-c", "2", picture=picture)
            alone = inspect()
            peak = rate(server.hey("-n", str(len(PICTURES)), "-c", "2", picture=picture))
            ratios.append(peak / max(alone, 1e-9))
            one = share([secs for secs, _, _ in server.hey("-n", "20", "-c", "1", picture=picture)], 0.5)
            service.append(1000 * one)
            for found, how in ((spread, server.beats(10, 1, 0.07 * peak, 15, picture)),
                               (together, server.hey("-z", "15s", "-c", "10", "-q", f"{0.07 * peak:.3f}", picture=picture))):
                assert all(code == 200 for _, code, _ in how), "at 70 % nothing is refused"
                found.append(share([secs for secs, _, _ in how], 0.99) / one)
            before, high = server.memory("VmRSS"), server.memory("VmHWM")
            over = server.beats(CALLERS // 10, 10, 5 * peak / (CALLERS - QUEUE), int(os.environ.get("BGAD_OVERLOAD", "20")), picture)
            answered.append(rate(over) / peak)
            refused.append(sum(code == 503 for _, code, _ in over))
            assert all(code in (200, 503) for _, code, _ in over), "every request is answered or refused"
            print(f"  round: inspect {alone:.1f}/s, serve {peak:.1f}/s, overload asked {len(over)}, answered {sum(c == 200 for _, c, _ in over)}, "
                  f"memory {before:.0f} -> {server.memory('VmRSS'):.0f} MiB (highest before {high:.0f}, after {server.memory('VmHWM'):.0f})", flush=True)
            server.stop()
        told("throughput, of that of inspect", ratios)
        told("service time, ms", service, "{:.0f}")
        told("p99 at 70 % load, beats spread, of the service time", spread)
        told("p99 at 70 % load, all at once, of the service time", together)
        told("answered at five times the load, of the peak", answered)
        told("refused with 503", refused, "{:.0f}")


if os.environ.get("BGAD_PEER"):
    beside_peer(os.environ["BGAD_PEER"])
else:
    main()
