"""Evaluating, calibrating and learning give what the command line gives."""

from __future__ import annotations

import json
from pathlib import Path

import bgad
import pytest
import scene


@pytest.fixture(scope="module")
def held_out(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with good images held out."""
    model = tmp_path_factory.mktemp("held") / "m.bgad"
    bgad.train(folder / "data", model, hold_out=0.4, anomalies=3, **scene.SMALL)
    return model


def test_figures_are_those_of_the_command_line(folder, model, tmp_path):
    events: list[dict] = []
    figures = bgad.evaluate(model, folder / "data", progress=events.append)
    scene.run("evaluate", model, folder / "data", "--json", tmp_path / "e.json", cwd=tmp_path)
    said = json.loads((tmp_path / "e.json").read_text())
    for key in said.keys() - {"secs_per_image"}:
        assert figures[key] == said[key], key
    assert figures["known"] > 0 and figures["skipped"] == []
    assert len(figures["images"]) == events[-1]["total"] == said["counts"]["good"] + said["counts"]["defective"]
    by_split = bgad.evaluate(model, folder / "data", split=folder / "m.split.json")
    assert by_split["counts"] == figures["counts"]
    with pytest.raises(bgad.OptionError, match="authors"):
        bgad.evaluate(model, folder / "data", scoring="all")
    with pytest.raises(bgad.DataError):
        bgad.evaluate(model, tmp_path / "none")


@pytest.mark.parametrize(
    ("asked", "typed"),
    [
        ({"max_false_alarms": 0.4}, ["--max-false-alarms", "40%"]),
        ({"min_recall": 0.5}, ["--min-recall", "50%"]),
        ({"cost": (10, 1, 0.1)}, ["--cost-escape", "10", "--cost-overkill", "1", "--defect-rate", "10%"]),
        ({"thresholds": (1.5, 2.5)}, ["--ok", "1.5", "--ng", "2.5"]),
    ],
    ids=["alarms", "recall", "cost", "hand"],
)
def test_calibrated_models_are_those_of_the_command_line(held_out, tmp_path, asked, typed):
    bad = tmp_path / "bad"
    bad.mkdir()
    for i in range(8):
        scene.write_png(bad / f"new{i}.png", scene.picture(7000 + i, (i, 3 * i)))
    promise = bgad.calibrate(held_out, output=tmp_path / "python.bgad", bad=sorted(bad.iterdir()), **asked)
    scene.run("calibrate", held_out, "-o", tmp_path / "cli.bgad", "--bad", bad, *typed, cwd=tmp_path)
    assert (tmp_path / "python.bgad").read_bytes() == (tmp_path / "cli.bgad").read_bytes()
    assert promise["thresholds"] == bgad.info(tmp_path / "python.bgad")["thresholds"]


def test_what_cannot_be_promised_is_refused(held_out, model):
    before = held_out.read_bytes()
    with pytest.raises(bgad.CalibrateError, match="good"):
        bgad.calibrate(held_out, max_false_alarms=0.001)
    with pytest.raises(bgad.CalibrateError, match="hold_out"):
        bgad.calibrate(model, max_false_alarms=0.4)
    with pytest.raises(bgad.OptionError, match="found 2"):
        bgad.calibrate(held_out, max_false_alarms=0.4, min_recall=0.5)
    with pytest.raises(bgad.OptionError, match="found 0"):
        bgad.calibrate(held_out)
    assert held_out.read_bytes() == before


def test_what_is_learned_is_what_the_command_line_learns(folder, held_out, tmp_path):
    image = scene.write_png(tmp_path / "missed/7.png", scene.picture(900, (40, 8)))
    mask = scene.write_png(tmp_path / "missed_mask/7.png", (scene.picture(900, (40, 8))[..., 0] > 200).astype("uint8") * 255)
    good = scene.write_png(tmp_path / "stopped/1.png", scene.picture(901))
    events: list[dict] = []
    learned = bgad.learn(
        held_out, defects=[(image, mask)], good=[good], output=tmp_path / "python.bgad", force=True, progress=events.append
    )
    scene.run(
        *["learn", held_out, "--defect", image, "--mask", mask, "--good", good, "-o", tmp_path / "cli.bgad", "--force"],
        cwd=tmp_path,
    )
    assert (tmp_path / "python.bgad").read_bytes() == (tmp_path / "cli.bgad").read_bytes()
    assert learned.learned == (image, good) and learned.already == ()
    assert {"pass", "scored"} <= {event["event"] for event in events}
    assert learned.before["figures"]["counts"] == learned.after["figures"]["counts"]
    again = bgad.learn(tmp_path / "python.bgad", defects=[(image, mask)])
    assert again.learned == () and again.already == (image,)
    with pytest.raises(bgad.LearningError, match="nothing to learn"):
        bgad.learn(held_out)
    with pytest.raises(bgad.LearningError, match="covers 100 % of its image"):
        everything = scene.write_png(tmp_path / "white.png", scene.picture(1)[..., 0] * 0 + 255)
        bgad.learn(held_out, defects=[(scene.write_png(tmp_path / "new.png", scene.picture(950, (4, 4))), everything)])
