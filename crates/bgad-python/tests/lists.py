"""An archive for the tests: a list of images that repeats few of them, with some that cannot be read."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as parquet
import scene

COLUMNS = ["file", "verdict", "score", "height", "width", "regions", "x", "y", "region_height", "region_width", "peak", "error"]


def write(folder: Path, rows: int) -> list[str]:
    """Writes `list.csv`, `list.parquet` and the folder `lists`, with absolute paths, and gives them."""
    images = [scene.write_png(folder / f"images/{i}.png", scene.picture(i, (i, 40) if i % 3 else None)) for i in range(16)]
    broken = folder / "images/broken, and \"quoted\".png"
    broken.write_bytes(b"no image")
    images += [broken, folder / "images/none.png"]
    paths = [str(images[i % len(images)]) for i in range(rows)]
    with (folder / "list.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path"])
        writer.writerows([path] for path in paths)
    table = pa.table({"row": pa.array(range(rows), pa.int64()), "path": paths})
    parquet.write_table(table, folder / "list.parquet", row_group_size=max(1, rows // 8))
    # The same in eight files, which Ray shares among its actors.
    (folder / "lists").mkdir()
    for part in range(8):
        first, last = part * rows // 8, (part + 1) * rows // 8
        parquet.write_table(table.slice(first, last - first), folder / f"lists/{part}.parquet")
    return paths


def by_cli(folder: Path, model: Path) -> list[dict]:
    """What the command line says of `list.csv`, a dict for each row with numbers as they are."""
    output = folder / "cli.csv"
    if not output.exists():
        scene.run("inspect", model, "--manifest", folder / "list.csv", "-o", output, cwd=folder, code=2)
    return rows_of_csv(output)


def rows_of_csv(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        return [{name: typed(name, text) for name, text in row.items()} for row in csv.DictReader(file)]


def typed(name: str, text: str) -> object:
    if text == "":
        return None
    if name in ("score", "peak"):
        # As 32 bits, which the text stands for.
        return pa.scalar(float(text), pa.float32()).as_py()
    return text if name in ("file", "verdict", "error") else int(text)


def rows_of_parquet(path: Path) -> list[dict]:
    """All rows of a file or a folder, sorted by their number."""
    return sorted(parquet.read_table(path).to_pylist(), key=lambda row: row["row"])


def kill_once(find: Callable[[], psutil.Process | None], seconds: float = 300) -> int:
    """Kills the process that `find` gives, as soon as it does, and gives its number."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = find()
        if found is not None:
            found.kill()
            return found.pid
        time.sleep(0.02)
    raise AssertionError("there was no process to kill")
