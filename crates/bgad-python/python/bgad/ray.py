"""Many images, or many models, on a Ray cluster. Needs ``pip install bgad[ray]``.

Images: :func:`inspect` scores a Parquet list of paths and can be resumed; :class:`Inspector` is its part for pipelines of your own::

    ray.data.read_parquet("list.parquet").map_batches(
        bgad.ray.Inspector, fn_constructor_args=("part.bgad",), batch_format="pyarrow", num_cpus=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=32))

Models: :func:`train_many` trains one for each row of a table.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset

import ray
import ray.data
from ray.data.checkpoint import CheckpointConfig

from bgad._bgad import BgadError
from bgad._detector import Detector
from bgad._operate import evaluate as evaluate_model
from bgad._table import begin, inspect_table
from bgad._train import train

_BATCH = 64
"""Rows that an actor judges at a time."""


class Inspector:
    """A detector for ``map_batches`` with ``batch_format="pyarrow"``: one for each actor, each on ``threads`` cores.

    ``model`` is the path of a model file that every node can read, or its bytes. ``column`` names the files, which every node can
    read; relative paths start at ``root``. With ``content`` the bytes in that column are inspected instead. Give the actors
    ``num_cpus=threads``. The columns in ``keep`` are handed on before those of the results.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        *,
        column: str = "path",
        content: str | None = None,
        root: str | None = None,
        keep: tuple[str, ...] = (),
        threads: int = 1,
    ) -> None:
        load = Detector.from_bytes if isinstance(model, bytes) else Detector.load
        self.detector = load(model, threads=threads)  # type: ignore[arg-type]
        self.column, self.content, self.root, self.keep = column, content, root, keep

    def __call__(self, batch: pa.Table) -> pa.Table:
        results = inspect_table(self.detector, batch, self.column, content=self.content, root=self.root)
        for place, name in enumerate(self.keep):
            results = results.add_column(place, name, batch.column(name))
        return results


def inspect(
    model: str | os.PathLike[str],
    manifest: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    workers: int = 1,
    threads: int = 1,
    block_rows: int | None = None,
    column: str = "path",
    row: str = "row",
    root: str | None = None,
    resume: bool = False,
) -> None:
    """Inspects the images of a Parquet list and writes Parquet files into the folder ``output``, one row for each image.

    ``manifest`` is a file or a folder of files; blocks of ``block_rows`` rows are what the workers share, and
    what a worker that dies costs. Without a number they are of 1024 rows, or fewer if not every worker had sixteen.

    The list has a column of paths and a column ``row`` of numbers, each only once, by which a resumed run knows what is done.
    Up to ``workers`` actors take ``threads`` cores each; the cluster needs two cores more, by
    Ray's count, for listing and for leaving out what is done. An actor or a node that dies is replaced, and its batches are done again; after
    the driver has died, the same call with ``resume=True`` does what is left. The state is in ``output`` with ``.checkpoint``
    behind it; every node must reach both folders. The list must not change in between.

    Raises ``FileExistsError`` if the output was begun and is not resumed, ``ValueError`` if it was begun with another model.
    """
    # The model travels with the job: a file that changes in the middle changes nothing.
    data = Path(model).read_bytes()
    folder = os.fspath(output)
    begin(folder, {"model_sha256": hashlib.sha256(data).hexdigest(), "manifest": os.path.abspath(manifest)}, resume)
    context = ray.data.DataContext.get_current()
    before = context.checkpoint_config
    config = CheckpointConfig(
        id_column=row,
        checkpoint_path=os.path.abspath(folder) + ".checkpoint",
        delete_checkpoint_on_success=False,
    )
    # What is done is left out by actors of Ray's. As they come, up to ten of them reserve a core and a gigabyte each, and where that is
    # not to be had the job waits for ever. One is enough for numbers, and what it reserves is their size.
    config.checkpoint_actor_pool_max_size = 1
    config.checkpoint_actor_memory_bytes = 0
    context.checkpoint_config = config
    try:
        # Paths and rows of results are little work: actors may take every core of the cluster.
        listed = ray.data.read_parquet(os.path.abspath(manifest), columns=[row, column], num_cpus=0)
        # A block of the list is small in bytes and long in work: as Ray cuts it, one actor would do it all.
        if block_rows is None:
            block_rows = _rows_a_block(pyarrow.dataset.dataset(os.path.abspath(manifest), format="parquet").count_rows(), workers)
        listed.repartition(target_num_rows_per_block=block_rows).map_batches(
            Inspector,
            fn_constructor_args=(data,),
            fn_constructor_kwargs={"column": column, "root": root, "keep": (row,), "threads": threads},
            batch_format="pyarrow",
            batch_size=_BATCH,
            num_cpus=threads,
            # Ray lists the files of the manifest with a core of its own: one that is free until more than one actor is needed.
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
        ).write_parquet(os.path.abspath(folder), ray_remote_args={"num_cpus": 0})
    finally:
        context.checkpoint_config = before


def _rows_a_block(rows: int, workers: int) -> int:
    """Sixteen blocks for each worker, as far as a block is worth it: an actor takes blocks ahead, and another starts only while some wait."""
    return min(1024, max(_BATCH, -(-rows // (16 * workers))))


def train_many(
    table: Iterable[Mapping[str, Any]], *, evaluate: bool = False, threads: int = 1, retries: int = 3
) -> list[dict[str, Any]]:
    """Trains a model for each row of a table, side by side, and returns a row for each, in the order of the table.

    A row has ``data`` and ``output``, the folder and the model file, which every node can reach, and any option of
    :func:`bgad.train`. A table of pandas goes in as ``frame.to_dict("records")``, one of pyarrow as ``table.to_pylist()``; options
    that are ``None`` are as if they were not there. Each model takes ``threads`` cores.

    The result has ``data``, ``output``, ``sha256`` of the model, ``good`` and ``defective`` images, the thresholds ``ok`` and ``ng``
    (nats), ``seconds`` and ``error``: a model that could not be trained is a row that says why. It is written beside the model as
    ``OUTPUT.result.json``, too: models that are done with the same options are not trained again when the call is repeated, and
    one that was interrupted goes on from its checkpoint.

    With ``evaluate`` each model is tested on the images that its training left for that, and ``figures`` has what :func:`bgad.evaluate` gives,
    without the images: a table of folders, numbers of ``anomalies`` and ``seed`` is then a benchmark.
    """
    rows = [dict(row) for row in table]
    _check(rows)
    task = ray.remote(num_cpus=threads, max_retries=retries)(_train_row)
    results: list[dict[str, Any]] = ray.get([task.remote(row, evaluate, threads) for row in rows])
    return results


def _check(rows: list[dict[str, Any]]) -> None:
    """Refuses a table in which a model could not be told from another."""
    seen: set[str] = set()
    for number, row in enumerate(rows):
        missing = [name for name in ("data", "output") if not row.get(name)]
        if missing:
            raise ValueError(f"row {number}: expected a value for {missing[0]!r}")
        output = os.path.abspath(row["output"])
        if output in seen:
            raise ValueError(f"row {number}: the model {row['output']} is another row's, too")
        seen.add(output)


def _train_row(row: dict[str, Any], evaluate: bool, threads: int) -> dict[str, Any]:
    """One model: nothing of it if it is done, else what is left."""
    data, output = os.fspath(row["data"]), Path(row["output"])
    result = _trained_row(row, data, output, threads)
    if not evaluate or result["sha256"] is None or result.get("figures"):
        return result
    done = _beside(output, ".result.json")
    try:
        figures = evaluate_model(output, data, split=output, threads=threads)
    except BgadError as error:
        return result | {"error": str(error)}
    del figures["images"]
    _write(done, (_read(done) or {}) | {"figures": figures})
    return result | {"figures": figures}


def _trained_row(row: dict[str, Any], data: str, output: Path, threads: int) -> dict[str, Any]:
    options = {name: value for name, value in row.items() if value is not None and name not in ("data", "output")}
    asked = hashlib.sha256(json.dumps([data, options], sort_keys=True, default=str).encode()).hexdigest()
    begun, done = _beside(output, ".begun.json"), _beside(output, ".result.json")
    result = _read(done)
    if result and result["asked"] == asked and _sha256(output) == result["sha256"]:
        return {name: value for name, value in result.items() if name != "asked"}
    same = (_read(begun) or {}).get("asked") == asked
    checkpoint = _beside(output, ".checkpoint")
    started = time.monotonic()
    result = {"data": data, "output": str(output), "sha256": None, "good": None, "defective": None, "ok": None, "ng": None}
    try:
        if not same:
            # That of another run could not be resumed.
            checkpoint.unlink(missing_ok=True)
        _write(begun, {"asked": asked})
        trained = train(data, output, threads=threads, resume=same and checkpoint.is_file(), **options)
        ok, ng = trained.thresholds
        skipped = f"{len(trained.skipped)} images were skipped: {trained.skipped[0]}" if trained.skipped else None
        result |= {"sha256": _sha256(output), "good": trained.good, "defective": trained.defective, "ok": ok, "ng": ng}
        result |= {"seconds": time.monotonic() - started, "error": skipped}
        _write(done, {"asked": asked, **result})
        begun.unlink(missing_ok=True)
    except (BgadError, OSError, TypeError) as error:
        result |= {"seconds": time.monotonic() - started, "error": str(error)}
    return result


def _beside(output: Path, end: str) -> Path:
    return output.with_name(output.name + end)


def _sha256(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        read: dict[str, Any] = json.loads(path.read_text())
        return read
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _write(path: Path, value: dict[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", suffix=".new", delete=False) as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)
