"""Measures the Python package: threads, throughput beside the command line, and memory over many calls.

python tools/doors/python_speed.py MODEL FOLDER [--cli target/release/bgad] [--calls 100000]

FOLDER holds images; each measurement takes all of them several times. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bgad
import numpy as np


def seconds(work: Callable[[], object], times: int = 5) -> float:
    """The median time of some runs, after one that warms up."""
    work()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def threads(model: Path, images: list[Path]) -> None:
    """One Python thread against two, each call on one core."""
    detector = bgad.Detector.load(model, threads=1)
    data = [image.read_bytes() for image in images]
    one = seconds(lambda: [detector.inspect(image) for image in data])
    with ThreadPoolExecutor(2) as pool:
        two = seconds(lambda: list(pool.map(detector.inspect, data)))
    print(f"one Python thread {len(data) / one:.1f} images/s, two {len(data) / two:.1f}, that is {one / two:.2f} times as many")


def beside_cli(model: Path, images: list[Path], cli: str) -> None:
    """All cores: batches through the package, a folder through the command line; both from files."""
    detector = bgad.Detector.load(model)
    ours = seconds(lambda: sum(1 for _ in detector.inspect_batch(images)))
    words = [cli, "inspect", str(model), *map(str, images), "--format", "jsonl"]
    whole = seconds(lambda: subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    # What the command line needs to start and to read the model is no part of its throughput.
    start = seconds(lambda: subprocess.run([*words[:3], str(images[0])], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    theirs = (whole - start) * len(images) / (len(images) - 1)
    print(
        f"package {len(images) / ours:.1f} images/s, command line {len(images) / theirs:.1f} (start left out), "
        f"ratio {theirs / ours:.3f}"
    )


def memory(model: Path, image: Path, calls: int) -> None:
    """Resident memory over many calls, of all kinds in turn."""
    detector = bgad.Detector.load(model, threads=1)
    data, pixels = image.read_bytes(), np.full((100, 100, 3), 128, np.uint8)
    kinds: list[Callable[[], object]] = [
        lambda: detector.inspect(data),
        lambda: detector.inspect(image),
        lambda: detector.inspect(pixels),
        lambda: list(detector.inspect_batch([b"no image"], errors="return")),
    ]
    for call in range(calls + 1):
        kinds[call % len(kinds)]()
        if call % (calls // 10) == 0:
            print(f"after {call:>7} calls {resident():.1f} MiB", flush=True)


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cli")
    parser.add_argument("--calls", type=int)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--no-threads", dest="threads", action="store_false", help="leave out the threads")
    args = parser.parse_args()
    images = sorted(path for path in args.folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".bmp"))
    images = images[: args.images]
    if args.threads:
        threads(args.model, images)
    if args.cli:
        beside_cli(args.model, images, args.cli)
    if args.calls:
        memory(args.model, images[0], args.calls)


if __name__ == "__main__":
    main()
