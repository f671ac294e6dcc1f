"""Archives on one machine or many, without any engine: Parquet in, Parquet out. Needs ``pip install bgad[archive]``.

``python -m bgad.archive part.bgad list.parquet results --shard 1/8 --resume`` takes an eighth of the list. The result is a folder
of Parquet files, each written whole or not at all: after any number of kills and ``--resume`` every image has exactly one row.
For lists and results in CSV, ``bgad inspect --manifest`` does the same without Python.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet

from bgad._bgad import BgadError
from bgad._detector import Detector
from bgad._table import begin, inspect_table


def inspect(
    model: str | os.PathLike[str],
    manifest: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    shard: str = "1/1",
    resume: bool = False,
    column: str = "path",
    threads: int | None = None,
    part_rows: int = 1024,
) -> int:
    """Inspects the images that the column of a Parquet or CSV file names, and returns how many rows it has written now.

    Relative paths start at the folder of the manifest. ``shard`` is ``"i/n"``: the rows r, from 0, with r mod n = i - 1. ``output``
    is a folder, the same for all shards; each part holds up to ``part_rows`` rows of one shard: the work that a kill costs at
    most. Columns are ``row`` and those of ``bgad inspect --manifest``.

    Raises ``FileExistsError`` if the shard has been begun and is not resumed, ``ValueError`` if it was begun with another model.
    """
    index, of = _shard(shard)
    detector = Detector.load(model, threads=threads)
    job = {"model_sha256": detector.sha256, "shard": shard, "part_rows": part_rows, "manifest": os.path.abspath(manifest)}
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    # Readers of a folder of Parquet files pass over names that begin with an underscore.
    begin(str(folder / f"_shard-{index}-of-{of}"), job, resume)
    root = str(Path(manifest).absolute().parent)
    written = 0
    for number, rows in enumerate(_parts(Path(manifest), column, index, of, part_rows)):
        part = folder / f"part-{index:05d}-of-{of:05d}-{number:06d}.parquet"
        if part.exists():
            continue
        results = inspect_table(detector, rows, column, root=root)
        _write_whole(results.add_column(0, "row", rows.column("row")), part)
        written += rows.num_rows
    return written


def _parts(manifest: Path, column: str, index: int, of: int, part_rows: int):  # type: ignore[no-untyped-def]
    """The rows of a shard with their numbers, so many at a time; the list may be larger than memory."""
    kept: list[pa.Table] = []
    held, first = 0, 0
    for batch in _batches(manifest, column):
        numbers = range(first, first + batch.num_rows)
        chosen = [i for i, row in enumerate(numbers) if row % of == index - 1]
        first += batch.num_rows
        rows = pa.table({column: batch.column(column), "row": pa.array(numbers, pa.int64())}).take(chosen)
        kept.append(rows)
        held += rows.num_rows
        while held >= part_rows:
            joined = pa.concat_tables(kept)
            yield joined.slice(0, part_rows)
            kept = [joined.slice(part_rows)]
            held -= part_rows
    if held:
        yield pa.concat_tables(kept)


def _batches(manifest: Path, column: str):  # type: ignore[no-untyped-def]
    if manifest.suffix.lower() == ".csv":
        names = csv.ConvertOptions(include_columns=[column], column_types={column: pa.string()})
        return csv.open_csv(manifest, convert_options=names)
    return dataset.dataset(manifest, format="parquet").to_batches(columns=[column], batch_size=65536)


def _write_whole(table: pa.Table, path: Path) -> None:
    """The file is whole, or not there."""
    descriptor, new = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            parquet.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise


def _shard(text: str) -> tuple[int, int]:
    try:
        index, of = (int(number) for number in text.split("/"))
    except ValueError:
        index, of = 0, 0
    if not 1 <= index <= of:
        raise ValueError(f'expected a shard as "i/n" with i from 1 to n, for instance "2/8", found {text!r}')
    return index, of


def main(arguments: list[str] | None = None) -> int:
    """``python -m bgad.archive``; the exit code is 0, or 2 if something could not be done."""
    parser = argparse.ArgumentParser(prog="python -m bgad.archive", description="Inspect the images of a list.")
    parser.add_argument("model", help="model file written by bgad train")
    parser.add_argument("manifest", help="Parquet or CSV file with a column of paths")
    parser.add_argument("output", help="folder for the Parquet files of results")
    parser.add_argument("--shard", default="1/1", metavar="i/n", help="take the i-th of n parts of the list")
    parser.add_argument("--resume", action="store_true", help="go on after an interruption")
    parser.add_argument("--column", default="path", help="column with the paths [default: path]")
    parser.add_argument("--threads", type=int, help="threads to use [default: one per core]")
    parser.add_argument("--part-rows", type=int, default=1024, help="rows of a file [default: 1024]")
    args = parser.parse_args(arguments)
    try:
        written = inspect(
            args.model,
            args.manifest,
            args.output,
            shard=args.shard,
            resume=args.resume,
            column=args.column,
            threads=args.threads,
            part_rows=args.part_rows,
        )
    except (BgadError, OSError, ValueError, pa.ArrowException) as error:
        print(f"bgad: {error}", file=sys.stderr)
        return 2
    print(f"bgad: {written} rows written", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
