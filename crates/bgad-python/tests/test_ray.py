"""Ray for real, on this machine: workers are killed in the middle, and every row is there once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import bgad
import lists
import psutil
import pytest
import scene

# A cluster for a test: no token in the home folder, and time to start on a busy machine.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
ray = pytest.importorskip("ray")
import bgad.ray  # noqa: E402

# docs/scale.md has a run with ten thousand.
ROWS = int(os.environ.get("BGAD_ARCHIVE_ROWS", "1000"))

MODELS = int(os.environ.get("BGAD_MODELS", "4"))


@pytest.fixture(scope="module", autouse=True)
def cluster():
    # One for all tests: it takes seconds to start. Two workers, and what Ray Data counts for its own listing and filtering.
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ray")
    lists.write(folder, ROWS)
    return folder


def worker(name: str) -> psutil.Process | None:
    """A worker of the cluster that is doing what has this name."""
    for process in psutil.process_iter(["cmdline"]):
        if any(name in word for word in process.info["cmdline"] or []):
            return process
    return None


def test_an_archive_has_every_row_once_though_a_worker_is_killed(archive, model, tmp_path):
    killed: list[int] = []

    def kill() -> None:
        inspecting = lambda: worker("ray::MapWorker") if list(tmp_path.glob("out/*.parquet")) else None  # noqa: E731
        killed.append(lists.kill_once(inspecting))

    killer = threading.Thread(target=kill)
    killer.start()
    bgad.ray.inspect(model, archive / "lists", tmp_path / "out", workers=2, block_rows=50)
    killer.join()
    assert killed
    assert lists.rows_of_parquet(tmp_path / "out") == lists.by_cli(archive, model)
    # All is done: to go on adds nothing.
    bgad.ray.inspect(model, archive / "lists", tmp_path / "out", workers=1, resume=True)
    assert len(lists.rows_of_parquet(tmp_path / "out")) == ROWS
    with pytest.raises(FileExistsError):
        bgad.ray.inspect(model, archive / "lists", tmp_path / "out")


@pytest.mark.parametrize(("rows", "workers", "block"), [(10, 2, 64), (2000, 2, 64), (20_000, 2, 625), (10**8, 32, 1024)])
def test_every_worker_has_blocks_to_take(rows, workers, block):
    assert bgad.ray._rows_a_block(rows, workers) == block


def test_models_are_those_of_the_command_line_though_a_worker_is_killed(tmp_path):
    table = []
    for number in range(MODELS):
        scene.write_data(tmp_path / f"data{number}", seed=100 * number)
        row = {"data": str(tmp_path / f"data{number}"), "output": str(tmp_path / f"{number}.bgad"), "seed": number, "anomalies": None}
        table.append({**row, **scene.SMALL, "schedule": "30x1"})
    table.append({"data": str(tmp_path / "none"), "output": str(tmp_path / "none.bgad")})
    killed: list[int] = []

    def kill() -> None:
        training = lambda: worker("ray::_train_row") if list(tmp_path.glob("*.checkpoint")) else None  # noqa: E731
        killed.append(lists.kill_once(training))

    killer = threading.Thread(target=kill)
    killer.start()
    results = bgad.ray.train_many(table)
    killer.join()
    assert killed
    assert [row["output"] for row in results] == [row["output"] for row in table]
    assert results[-1]["sha256"] is None and "none" in results[-1]["error"]
    for row, result in zip(table[:-1], results, strict=False):
        assert result["error"] is None
        options = {name: row[name] for name in ("input", "blocks", "schedule", "seed")}
        scene.run("train", row["data"], "-o", tmp_path / "cli.bgad", *scene.flags(options), cwd=tmp_path)
        assert Path(row["output"]).read_bytes() == (tmp_path / "cli.bgad").read_bytes()
    times = [Path(row["output"]).stat().st_mtime_ns for row in table[:-1]]
    again = bgad.ray.train_many(table, evaluate=True)
    for row, result, before in zip(table, again, results, strict=True):
        figures = result.pop("figures", None)
        assert {**result, "seconds": 0} == {**before, "seconds": 0}
        if result["sha256"] is not None:
            wanted = bgad.evaluate(row["output"], row["data"], split=row["output"])
            assert figures["image_auroc"] == wanted["image_auroc"] and figures["counts"] == wanted["counts"]
    assert [Path(row["output"]).stat().st_mtime_ns for row in table[:-1]] == times, "what was done is not done again"


def test_a_table_that_mixes_up_models_is_refused(tmp_path):
    row = {"data": "a", "output": str(tmp_path / "m.bgad")}
    with pytest.raises(ValueError, match="another row's"):
        bgad.ray.train_many([row, dict(row)])
    with pytest.raises(ValueError, match="'data'"):
        bgad.ray.train_many([{"output": "m.bgad"}])
