"""Images in Arrow tables, results in Arrow tables: what archives, Ray and Spark have in common. Needs pyarrow."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.fs as fs

from bgad._detector import Detector

RESULTS: pa.Schema = pa.schema(
    [
        ("file", pa.string()),
        ("verdict", pa.string()),
        ("score", pa.float32()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("regions", pa.int32()),
        ("x", pa.int32()),
        ("y", pa.int32()),
        ("region_height", pa.int32()),
        ("region_width", pa.int32()),
        ("peak", pa.float32()),
        ("error", pa.string()),
    ]
)
"""The columns of a result: those of ``bgad inspect --manifest``. Where an image cannot be judged, ``error`` says why and the
others are null."""


def inspect_table(
    detector: Detector, table: pa.Table, column: str, *, content: str | None = None, root: str | None = None
) -> pa.Table:
    """The results of the images of a table, one row for each, in its order; columns as in :data:`RESULTS`.

    ``column`` names the files; with ``content`` the bytes in that column are inspected instead of reading them. Relative paths
    start at ``root``.
    """
    files = ["" if file is None else str(file) for file in _column(table, column).to_pylist()]
    images: Sequence[object]
    if content is None:
        images = files if root is None else [os.path.join(root, file) for file in files]
    else:
        # An image that is not there is an image that cannot be read: never a row that is left out.
        images = [b"" if data is None else data for data in _column(table, content).to_pylist()]
    return pa.table(detector._native.archive_rows(files, images), schema=RESULTS)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise ValueError(f"expected a column {name!r} in the table, found {', '.join(table.column_names)}")
    return table.column(name)


def begin(output: str, job: dict[str, Any], resume: bool) -> None:
    """Writes beside the folder ``output`` what it is begun with, or refuses to go on with another job's.

    The file is ``output`` with ``.job`` behind it.
    """
    system, path = fs.FileSystem.from_uri(_uri(output))
    name = path.rstrip("/") + ".job"
    there = system.get_file_info(name).type != fs.FileType.NotFound
    if there and not resume:
        raise FileExistsError(f"{output} was begun already: go on with resume=True, or remove it and {output}.job")
    if there:
        with system.open_input_stream(name) as stream:
            begun = json.loads(stream.read())
        differing = [key for key in sorted(job.keys() | begun.keys()) if job.get(key) != begun.get(key)]
        if differing:
            key = differing[0]
            raise ValueError(
                f"{output} was begun with another {key} ({begun.get(key)}), not {job.get(key)}: "
                "resume with the same, or write elsewhere"
            )
        return
    system.create_dir(posixpath.dirname(name), recursive=True)
    with system.open_output_stream(name) as stream:
        stream.write(json.dumps(job).encode())


def _uri(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)
