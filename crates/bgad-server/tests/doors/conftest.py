"""A model of small drawn parts, and the real binary serving it. BGAD is the binary's path."""

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BGAD = os.environ["BGAD"]
SIDE = 64


def drawn(seed, defect=None):
    """A woven texture; a defect is a bright square with its corner at (y, x)."""
    noise = np.random.default_rng(seed).integers(0, 16, (SIDE, SIDE))
    y, x = np.mgrid[:SIDE, :SIDE]
    weave = np.where((x // 4 + y // 4) % 2 == 0, 90, 110)
    picture = np.stack([weave + noise, weave + noise, weave - noise], axis=2).astype(np.uint8)
    if defect:
        top, left = defect
        picture[top : top + 12, left : left + 12] = (250, 230, 60)
    return picture


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    for name in ("data/good", "data/bad/spot", "data/masks/spot", "models/part/1", "models/part/2", "models/other/7"):
        (folder / name).mkdir(parents=True)
    for i in range(40):
        Image.fromarray(drawn(i)).save(folder / f"data/good/{i:03}.png")
    for i in range(8):
        corner = (8 + 5 * i, 40 - 4 * i)
        Image.fromarray(drawn(1000 + i, corner)).save(folder / f"data/bad/spot/{i:03}.png")
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[corner[0] : corner[0] + 12, corner[1] : corner[1] + 12] = 255
        Image.fromarray(mask).save(folder / f"data/masks/spot/{i:03}_mask.png")
    train = [BGAD, "train", "data", "-o", "m.bgad", "--input", "64", "--blocks", "2", "--schedule", "4x1"]
    subprocess.run(train, cwd=folder, check=True, capture_output=True)
    for place in ("part/1", "part/2", "other/7"):
        (folder / "models" / place / "model.bgad").write_bytes((folder / "m.bgad").read_bytes())
    return folder


@pytest.fixture(scope="session")
def pictures(scene):
    """Files, and what `bgad inspect` says of them."""
    files = sorted((scene / "data/bad/spot").iterdir()) + sorted((scene / "data/good").iterdir())[:4]
    told = subprocess.run(
        [BGAD, "inspect", "m.bgad", *map(str, files), "--format", "jsonl"], cwd=scene, capture_output=True, text=True
    )
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(lines) == len(files), told.stderr
    return [(file.read_bytes(), line) for file, line in zip(files, lines)]


class Running:
    """A process of the binary and where it listens."""

    def __init__(self, scene, *arguments):
        self.process = subprocess.Popen([BGAD, *arguments], cwd=scene, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        self.at = dict(re.findall(r"(http|grpc|modbus)://(\S+)", line))
        assert self.at, f"no address in {line!r}"

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0


@pytest.fixture(scope="session")
def server(scene):
    running = Running(scene, "serve", "--repository", "models", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--feedback", "answers")
    yield running
    running.stop()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(what, look, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s for {what}")


def arrive(scene: Path, folder: str, name: str, picture):
    """A picture comes into a folder whole."""
    partly = scene / "arriving.tmp"
    Image.fromarray(picture).save(partly, format="png")
    partly.rename(scene / folder / name)
