"""`python -m bgad.archive`: exactly one row an image after any number of kills, equal to the command line's."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import bgad
import bgad.archive
import lists
import pytest
import scene

ROWS = 400


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    lists.write(folder, ROWS)
    return folder


@pytest.mark.parametrize("manifest", ["list.parquet", "list.csv"])
def test_shards_together_are_the_whole_list(archive, model, tmp_path, manifest):
    for shard in ["1/3", "2/3", "3/3"]:
        bgad.archive.inspect(model, archive / manifest, tmp_path / "out", shard=shard, part_rows=50)
    assert lists.rows_of_parquet(tmp_path / "out") == lists.by_cli(archive, model)
    assert any(row["error"] for row in lists.by_cli(archive, model))


def test_every_image_has_one_row_after_any_number_of_kills(archive, model, tmp_path):
    words = [sys.executable, "-m", "bgad.archive", model, archive / "list.parquet", tmp_path / "out", "--part-rows", "20"]
    kills, counted = 0, []
    while True:
        job = subprocess.Popen([*map(str, words), "--resume"], stderr=subprocess.PIPE)
        until = time.monotonic() + 60
        before = len(list((tmp_path / "out").glob("*.parquet")))
        while job.poll() is None and time.monotonic() < until:
            counted.append(len(list((tmp_path / "out").glob("*.parquet"))))
            if counted[-1] >= before + 3 and kills < 4:
                job.kill()
                kills += 1
                break
            time.sleep(0.002)
        job.wait()
        if job.returncode == 0:
            break
        assert job.returncode == -9, job.stderr.read()
    assert kills == 4, "the kills came in the middle"
    assert lists.rows_of_parquet(tmp_path / "out") == lists.by_cli(archive, model)


def test_another_job_is_refused(archive, model, tmp_path):
    out = tmp_path / "out"
    bgad.archive.inspect(model, archive / "list.parquet", out, shard="1/40")
    with pytest.raises(FileExistsError, match="resume=True"):
        bgad.archive.inspect(model, archive / "list.parquet", out, shard="1/40")
    assert bgad.archive.inspect(model, archive / "list.parquet", out, shard="1/40", resume=True) == 0
    other = tmp_path / "other.bgad"
    bgad.train(model.parent / "data", other, seed=1, **scene.SMALL)
    with pytest.raises(ValueError, match="another model_sha256"):
        bgad.archive.inspect(other, archive / "list.parquet", out, shard="1/40", resume=True)
    for shard in ["0/2", "3/2", "1", "a/b"]:
        with pytest.raises(ValueError, match="i/n"):
            bgad.archive.inspect(model, archive / "list.parquet", out, shard=shard)
    assert bgad.archive.main([str(model), str(archive / "none.parquet"), str(tmp_path / "none")]) == 2
