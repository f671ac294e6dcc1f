#!/usr/bin/env python3
"""Drift on real pictures: how often it alarms while nothing changes, and after how many parts it does when something has.

usage: tools/doors/drift_windows.py BGAD MODEL FOLDER_OF_GOOD_PICTURES FOLDER_OF_ANOTHER_PRODUCT [WINDOWS]

Pictures are drawn at random with replacement, and sent to `bgad serve` as files. Each change has a server of its own, which has seen
unchanged parts before: its reference and two windows. Needs Pillow.
"""

import http.client
import io
import json
import random
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageEnhance, ImageFilter

BGAD, MODEL, FOLDER, OTHER = sys.argv[1:5]
WINDOWS = int(sys.argv[5]) if len(sys.argv) > 5 else 200
REFERENCE, WINDOW = 300, 100


def pictures(folder):
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".png", ".jpg", ".bmp"))
    assert found, f"{folder}: no picture"
    return [Image.open(path).convert("RGB") for path in found]


def files(images):
    """As PNG, so that no codec changes more than the change."""
    made = []
    for image in images:
        file = io.BytesIO()
        image.save(file, "png", compress_level=1)
        made.append(file.getvalue())
    return made


class Line:
    def __init__(self, seed):
        self.process = subprocess.Popen([BGAD, "serve", MODEL, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.at = re.search(r"http://(\S+)", self.process.stdout.readline())[1]
        self.client, self.chance = http.client.HTTPConnection(self.at), random.Random(seed)

    def ask(self, method, path, body=None):
        self.client.request(method, path, body)
        answer = self.client.getresponse()
        told = answer.read()
        assert answer.status == 200, told
        return json.loads(told)

    def judge(self, parts, count):
        return [self.ask("POST", "/inspect", self.chance.choice(parts))["verdict"] for _ in range(count)]

    def signals(self):
        [of_model] = self.ask("GET", f"/v2/models/{Path(MODEL).stem}/stats")["model_stats"]
        return {signal["signal"]: signal for signal in of_model["drift"]}

    def stop(self):
        self.client.close()
        self.process.terminate()
        self.process.wait(60)


def unchanged(good):
    line, largest, told = Line(1), {}, []
    told += line.judge(good, REFERENCE)
    for number in range(WINDOWS):
        told += line.judge(good, WINDOW)
        if number % 20 == 19:
            print(f"  {number + 1} windows", file=sys.stderr, flush=True)
        for name, signal in line.signals().items():
            if signal["statistics"]:
                largest[name] = max(largest.get(name, 0), signal["statistics"][-1])
    signals = line.signals()
    alarms = {name: signal["alarms"] for name, signal in signals.items() if signal["alarms"]}
    line.stop()
    shares = ", ".join(f"{verdict} {told.count(verdict)}" for verdict in ("OK", "REVIEW", "NG"))
    print(f"unchanged: {WINDOWS} windows, {len(signals)} signals, {shares}; alarms {alarms or 'none'}")
    print("  largest distances: " + ", ".join(f"{name} {value:.2f}" for name, value in sorted(largest.items())), flush=True)


def changed(name, seed, good, parts):
    """In steps of ten parts, because the alarm comes at the end of a window."""
    line = Line(seed)
    line.judge(good, REFERENCE + 2 * WINDOW)
    before = sum(bool(signal["alarms"]) for signal in line.signals().values())
    for count in range(10, 3 * WINDOW + 1, 10):
        line.judge(parts, 10)
        alarmed = {name: signal for name, signal in line.signals().items() if signal["alarms"]}
        if alarmed:
            break
    said = ", ".join(f"{name} {signal['statistics'][-1]:.2f}" for name, signal in alarmed.items()) or "no alarm"
    print(f"{name}: after {count} parts: {said}; before: {before}", flush=True)
    line.stop()


def main():
    good = pictures(FOLDER)
    changes = {
        "lamp down by 20 %": [ImageEnhance.Brightness(image).enhance(0.8) for image in good],
        "out of focus (Gaussian, 2 px)": [image.filter(ImageFilter.GaussianBlur(2)) for image in good],
        "another product": pictures(OTHER),
    }
    for seed, (name, images) in enumerate(changes.items(), 2):
        changed(name, seed, files(good), files(images))
    unchanged(files(good))


if __name__ == "__main__":
    main()
