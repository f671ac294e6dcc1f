"""Measures archives and many models with one worker and with two: without an engine, on Ray and on Spark.

python tools/doors/scale_speed.py MODEL FOLDER [--rows 10000] [--models 4]

FOLDER holds images; a list of so many rows repeats them. Each time is that of the call alone: Ray and Spark have started before, and have
loaded what they need for a list of few rows. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bgad
import pyarrow as pa
import pyarrow.parquet as parquet

os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


def timed(name: str, rows: int, work: Callable[[], object]) -> None:
    started = time.perf_counter()
    work()
    secs = time.perf_counter() - started
    print(f"{name:34} {secs:8.1f} s {rows / secs:10.1f} a second", flush=True)


def write_list(folder: Path, images: list[Path], rows: int) -> Path:
    """A list as a folder of eight files, as clusters have them."""
    paths = [str(images[i % len(images)]) for i in range(rows)]
    table = pa.table({"row": pa.array(range(rows), pa.int64()), "path": paths})
    folder.mkdir()
    for part in range(8):
        first, last = part * rows // 8, (part + 1) * rows // 8
        parquet.write_table(table.slice(first, last - first), folder / f"{part}.parquet")
    parquet.write_table(table, folder.with_suffix(".parquet"))
    return folder


def check(folder: Path, rows: int) -> None:
    found = parquet.read_table(folder, columns=["row"]).column("row").to_pylist()
    assert sorted(found) == list(range(rows)), f"{folder}: {len(found)} rows, {len(set(found))} of them different"


def without_engine(model: Path, listed: Path, rows: int, work: Path) -> None:
    for workers in (1, 2):
        out = work / f"plain{workers}"

        def shards(workers: int = workers, out: Path = out) -> None:
            words = [sys.executable, "-m", "bgad.archive", model, listed.with_suffix(".parquet"), out, "--threads", "1"]
            jobs = [subprocess.Popen([*map(str, words), "--shard", f"{i}/{workers}"]) for i in range(1, workers + 1)]
            assert [job.wait() for job in jobs] == [0] * workers

        timed(f"bgad.archive, processes: {workers}", rows, shards)
        check(out, rows)


def ray_images(model: Path, listed: Path, warm: Path, rows: int, work: Path) -> None:
    import bgad.ray

    bgad.ray.inspect(model, warm, work / "ray-warm")
    for workers in (1, 2):
        out = work / f"ray{workers}"
        timed(f"bgad.ray.inspect, workers: {workers}", rows, lambda: bgad.ray.inspect(model, listed, out, workers=workers))  # noqa: B023
        check(out, rows)


def ray_models(data: Path, models: int, work: Path) -> None:
    import bgad.ray
    import ray

    for workers in (1, 2):
        ray.shutdown()
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
        table = [{"data": str(data), "output": str(work / f"{workers}-{i}.bgad"), "seed": i, "schedule": "2x1"} for i in range(models)]
        done: list[dict] = []
        timed(f"bgad.ray.train_many, workers: {workers}", models, lambda: done.extend(bgad.ray.train_many(table)))  # noqa: B023
        assert not any(row["error"] for row in done), done
    ray.shutdown()


def spark_images(model: Path, listed: Path, warm: Path, rows: int, work: Path) -> None:
    import bgad.spark
    from pyspark.sql import SparkSession

    for workers in (1, 2):
        session = SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", "false").getOrCreate()
        bgad.spark.bound_batches(session)
        score = bgad.spark.inspect(model, keep={"row": "long"})

        def run(listed: Path, out: Path) -> None:
            session.read.parquet(str(listed)).repartition(8).mapInArrow(score, score.schema).write.parquet(str(out))  # noqa: B023

        run(warm, work / f"spark-warm{workers}")
        out = work / f"spark{workers}"
        timed(f"bgad.spark.inspect, workers: {workers}", rows, lambda: run(listed, out))  # noqa: B023
        check(out, rows)
        session.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--data", type=Path, help="a data folder to train on [default: FOLDER]")
    args = parser.parse_args()
    images = sorted(path.absolute() for path in args.folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".bmp"))[:200]
    work = Path(tempfile.mkdtemp(prefix="bgad-scale-"))
    try:
        listed, warm = write_list(work / "list", images, args.rows), write_list(work / "warm", images, 64)
        print(f"bgad {bgad.__version__}, {args.rows} rows of {len(images)} images, {os.cpu_count()} cores")
        without_engine(args.model, listed, args.rows, work)
        spark_images(args.model, listed, warm, args.rows, work)
        import ray

        # Two cores more than workers, which Ray Data counts for itself.
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
        ray_images(args.model, listed, warm, args.rows, work)
        ray_models((args.data or args.folder).absolute(), args.models, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
