"""Images in Spark data frames. Needs ``pip install bgad[spark]`` on the driver and the workers.

    score = bgad.spark.inspect("part.bgad")
    spark.read.parquet("list.parquet").mapInArrow(score, score.schema).write.parquet("results")

Spark counts its batches in rows; batches of image bytes run out of memory by that count alone. :func:`bound_batches` bounds them by
bytes before they reach Python, and the function works through a batch in slices of ``batch_bytes``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from bgad._bgad import ModelChangedError
from bgad._detector import Detector
from bgad._table import RESULTS, inspect_table

_SPARK_TYPES = {pa.string(): "string", pa.float32(): "float", pa.int32(): "int"}

# Images of a slice where they are read from files, and their bytes are not there to be counted.
_SLICE = 64


class Inspect:
    """The function for ``mapInArrow``, and the schema of its result. Made by :func:`inspect`."""

    def __init__(
        self,
        model: str,
        sha256: str,
        column: str,
        content: str | None,
        keep: dict[str, str],
        batch_bytes: int,
        threads: int,
    ) -> None:
        self.model, self.sha256, self.column, self.content = model, sha256, column, content
        self.keep, self.batch_bytes, self.threads = keep, batch_bytes, threads

    @property
    def schema(self) -> str:
        """The columns of the result, as Spark writes them."""
        kept = [f"`{name}` {kind}" for name, kind in self.keep.items()]
        return ", ".join(kept + [f"`{field.name}` {_SPARK_TYPES[field.type]}" for field in RESULTS])

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        detector = _detector(self.model, self.sha256, self.threads)
        for batch in batches:
            table = pa.Table.from_batches([batch])
            for first, rows in self._slices(table):
                part = table.slice(first, rows)
                results = inspect_table(detector, part, self.column, content=self.content)
                for place, name in enumerate(self.keep):
                    results = results.add_column(place, name, part.column(name))
                yield from results.to_batches()

    def _slices(self, table: pa.Table) -> Iterator[tuple[int, int]]:
        """First row and number of rows of slices of at most ``batch_bytes`` of images, one image at least."""
        if self.content is None:
            for first in range(0, table.num_rows, _SLICE):
                yield first, min(_SLICE, table.num_rows - first)
            return
        first, held = 0, 0
        for row, data in enumerate(table.column(self.content)):
            size = len(data.as_buffer()) if data.is_valid else 0
            if row > first and held + size > self.batch_bytes:
                yield first, row - first
                first, held = row, 0
            held += size
        if first < table.num_rows:
            yield first, table.num_rows - first


def inspect(
    model: str | os.PathLike[str],
    *,
    column: str = "path",
    content: str | None = None,
    keep: dict[str, str] | None = None,
    batch_bytes: int = 64 << 20,
    threads: int = 1,
) -> Inspect:
    """The function for ``DataFrame.mapInArrow`` that inspects the images of a data frame, one row for each.

    ``column`` holds paths that every worker can read; with ``content`` the bytes in that column are inspected, as the data source
    ``binaryFile`` gives them, at most ``batch_bytes`` at a time. ``keep`` are columns to hand on, with their types in Spark, for
    instance ``{"row": "long"}``. Each task takes ``threads`` cores: set ``spark.task.cpus`` to as many. Every worker must be able
    to read the model file, and refuses one that has changed.
    """
    detector = Detector.load(model)
    path = str(Path(model).absolute())
    return Inspect(path, detector.sha256, column, content, dict(keep or {}), batch_bytes, threads)


def bound_batches(spark: Any, *, max_bytes: int = 64 << 20, max_rows: int = 1024) -> None:
    """Bounds the batches that a session hands to Python, in bytes and in rows."""
    spark.conf.set("spark.sql.execution.arrow.maxBytesPerBatch", str(max_bytes))
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(max_rows))


@lru_cache(maxsize=4)
def _detector(model: str, sha256: str, threads: int) -> Detector:
    """Loaded once for all tasks of a worker."""
    detector = Detector.load(model, threads=threads)
    if detector.sha256 != sha256:
        raise ModelChangedError(f"{model}: expected the model with SHA-256 {sha256} of the driver, found {detector.sha256}")
    return detector
