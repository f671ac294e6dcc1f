"""Small pictures with and without a defect, a model, and the command line to compare with. Needs numpy alone."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np

CLI = os.environ.get("BGAD_CLI", "bgad")
SIDE = 64
GOOD, BAD = 40, 8
SMALL = {"input": 64, "blocks": 2, "schedule": "4x1"}
"""Options under which training takes about a second."""


def flags(options: dict[str, Any]) -> list[str]:
    """The options as the command line takes them."""
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def picture(seed: int, defect: tuple[int, int] | None = None) -> np.ndarray:
    """A woven texture, uint8 [64, 64, 3]; a defect is a bright square with its corner at (y, x)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    weave = np.where((x // 4 + y // 4) % 2 == 0, 90, 110)[..., None]
    image = (weave + rng.integers(0, 16, (SIDE, SIDE, 1)) * [1, 1, -1]).astype(np.uint8)
    if defect is not None:
        top, left = defect
        image[top : top + 12, left : left + 12] = [250, 230, 60]
    return image


def write_png(path: Path, image: np.ndarray) -> Path:
    """Writes samples of uint8 or uint16, [h, w] or [h, w, 3 or 4]."""
    height, width = image.shape[:2]
    colour = {1: 0, 3: 2, 4: 6}[1 if image.ndim == 2 else image.shape[2]]
    rows = image.astype(image.dtype.newbyteorder(">")).reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8 * image.dtype.itemsize, colour, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
    return path


def write_data(folder: Path, seed: int = 0) -> Path:
    """A data folder with 40 good pictures and 8 defective ones, with masks."""
    for i in range(GOOD):
        write_png(folder / f"good/{i:03}.png", picture(seed + i))
    for i in range(BAD):
        corner = (8 + 5 * i, 40 - 4 * i)
        write_png(folder / f"bad/spot/{i:03}.png", picture(seed + 1000 + i, corner))
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[corner[0] : corner[0] + 12, corner[1] : corner[1] + 12] = 255
        write_png(folder / f"masks/spot/{i:03}_mask.png", mask)
    return folder


def run(*words: object, cwd: Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Runs the command line."""
    done = subprocess.run([CLI, *map(str, words)], cwd=cwd, capture_output=True, text=True)
    assert code is None or done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The last line on stderr, without the program's name."""
    return done.stderr.strip().splitlines()[-1].removeprefix("bgad: ")


def inspected(model: Path, *images: Path) -> list[dict[str, Any]]:
    """What the command line says of images."""
    done = run("inspect", model, *images, "--format", "jsonl", cwd=model.parent, code=None)
    return [json.loads(line) for line in done.stdout.splitlines()]
