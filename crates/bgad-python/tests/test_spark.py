"""Spark for real, on this machine: a Python worker is killed in the middle, and every row is there once."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import bgad
import lists
import psutil
import pyarrow as pa
import pytest

pytest.importorskip("pyspark")
import bgad.spark  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402

# docs/scale.md has a run with ten thousand.
ROWS = int(os.environ.get("BGAD_ARCHIVE_ROWS", "1000"))


@pytest.fixture(scope="module")
def spark():
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    # Two workers, and tasks are tried again as on a cluster.
    session = (
        SparkSession.builder.master("local[2,4]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "1g")
        .getOrCreate()
    )
    bgad.spark.bound_batches(session, max_rows=50)
    yield session
    session.stop()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spark")
    lists.write(folder, ROWS)
    return folder


def worker() -> psutil.Process | None:
    """A forked Python worker that has inspected for a while."""
    for process in psutil.Process().children(recursive=True):
        try:
            forked = process.parent() and "pyspark.daemon" in " ".join(process.parent().cmdline())
            if forked and process.cpu_times().user > 0.7:
                return process
        except psutil.NoSuchProcess:
            continue
    return None


def test_an_archive_has_every_row_once_though_a_worker_is_killed(spark, archive, model, tmp_path):
    killed: list[int] = []
    killer = threading.Thread(target=lambda: killed.append(lists.kill_once(worker)))
    killer.start()
    score = bgad.spark.inspect(model, keep={"row": "long"})
    listed = spark.read.parquet(str(archive / "list.parquet")).repartition(4)
    listed.mapInArrow(score, score.schema).write.parquet(str(tmp_path / "out"))
    killer.join()
    assert killed
    assert lists.rows_of_parquet(tmp_path / "out") == lists.by_cli(archive, model)


def test_bytes_are_inspected_as_files_are(spark, archive, model):
    score = bgad.spark.inspect(model, content="content")
    files = spark.read.format("binaryFile").load(str(archive / "images/*.png"))
    found = files.mapInArrow(score, score.schema).collect()
    want = {row["file"]: row for row in lists.by_cli(archive, model)}
    assert len(found) == 17
    for row in found:
        path = row["file"].removeprefix("file:")
        if "broken" in path:
            assert row["verdict"] is None and "PNG" in row["error"]
        else:
            assert (row["score"], row["verdict"]) == (want[path]["score"], want[path]["verdict"])


def test_slices_are_bounded_in_bytes(model):
    score = bgad.spark.inspect(model, column="name", content="data", batch_bytes=100)
    data = [b"x" * size for size in [60, 40, 1, 500, 20, 20]] + [None]
    table = pa.table({"name": [str(i) for i in range(7)], "data": pa.array(data, pa.binary())})
    assert list(score._slices(table)) == [(0, 2), (2, 1), (3, 1), (4, 3)]
    found = [batch.num_rows for batch in score(iter(table.to_batches()))]
    assert sum(found) == 7


def test_a_model_that_has_changed_is_refused(model, tmp_path):
    score = bgad.spark.inspect(model)
    changed = bgad.spark.Inspect(str(model), "0" * 64, "path", None, {}, 1, 1)
    table = pa.table({"path": ["none.png"]})
    assert next(score(iter(table.to_batches()))).to_pylist()[0]["error"]
    with pytest.raises(bgad.ModelChangedError, match="of the driver"):
        next(changed(iter(table.to_batches())))
