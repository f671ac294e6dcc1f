#!/usr/bin/env python3
"""What `bgad serve` costs beside `bgad inspect`, and what it does when too much is asked of it.

usage: tools/doors/serve_load.py BGAD MODEL FOLDER_OF_PICTURES [ROUNDS]

Needs hey (Debian). bgad has core 0, hey core 1. Every round measures both commands, one after the other, so that what
else the machine does hits both; ratios are of a round, and their median is given with the lowest and the highest.
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
    def __init__(self, *more):
        self.process = subprocess.Popen([*ON["bgad"], BGAD, "serve", MODEL, "--threads", "1", "--http", "127.0.0.1:0",
                                         "--grpc", "127.0.0.1:0", *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.at = re.search(r"http://(\S+)", self.process.stdout.readline())[1]

    def memory(self, key):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{key}:\s+(\d+) kB", text)[1]) / 1024

    def hey(self, *how, picture):
        """Seconds, status and offset of each request."""
        told = subprocess.run([*ON["hey"], "hey", "-t", "60", "-m", "POST", "-T", "image/png", "-D", picture, "-o", "csv", *how,
                               f"http://{self.at}/inspect"], capture_output=True, text=True, check=True)
        rows = list(csv.DictReader(io.StringIO(told.stdout)))
        return [(float(row["response-time"]), int(row["status-code"]), float(row["offset"])) for row in rows]

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0


def rate(rows, status=200):
    """Answers of this status a second, from the first request to the last answer."""
    return sum(code == status for _, code, _ in rows) / max(offset + secs for secs, _, offset in rows)


def share(values, at):
    return sorted(values)[min(len(values) - 1, int(at * len(values)))]


def told(what, values, form="{:.2f}"):
    text = " ".join(form.format(value) for value in (statistics.median(values), min(values), max(values)))
    middle, low, high = text.split()
    print(f"{what:60} {middle} ({low} to {high})", flush=True)


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
        ratios, latency, service, answered, refused = [], [], [], [], []
        for _ in range(ROUNDS):
            server = Server("--queue", str(QUEUE))
            server.hey("-n", "10", "-c", "2", picture=picture)
            alone = inspect()
            rows = server.hey("-n", str(len(PICTURES)), "-c", "2", picture=picture)
            peak = rate(rows)
            ratios.append(peak / max(alone, 1e-9))
            one = share([secs for secs, _, _ in server.hey("-n", "20", "-c", "1", picture=picture)], 0.5)
            # 70 % of what it can do, by ten callers.
            rows = server.hey("-z", "15s", "-c", "10", "-q", f"{0.07 * peak:.3f}", picture=picture)
            service.append(1000 * one)
            latency.append(share([secs for secs, _, _ in rows], 0.99) / one)
            before, high = server.memory("VmRSS"), server.memory("VmHWM")
            rows = server.hey("-z", os.environ.get("BGAD_OVERLOAD", "20s"), "-c", str(CALLERS), "-q", f"{5 * peak / (CALLERS - QUEUE):.3f}", picture=picture)
            answered.append(rate(rows) / peak)
            refused.append(sum(code == 503 for _, code, _ in rows))
            assert all(code in (200, 503) for _, code, _ in rows), "every request is answered or refused"
            print(f"  round: inspect {alone:.1f}/s, serve {peak:.1f}/s, overload asked {len(rows)}, answered {sum(c == 200 for _, c, _ in rows)}, "
                  f"memory {before:.0f} -> {server.memory('VmRSS'):.0f} MiB (highest before {high:.0f}, after {server.memory('VmHWM'):.0f})", flush=True)
            server.stop()
        told("throughput, of that of inspect", ratios)
        told("service time, ms", service, "{:.0f}")
        told("p99 at 70 % load, of the service time", latency)
        told("answered at five times the load, of the peak", answered)
        told("refused with 503", refused, "{:.0f}")


main()
