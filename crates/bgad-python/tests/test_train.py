"""Training from Python gives the models of the command line, can be watched, and can be stopped."""

from __future__ import annotations

import json
import signal

import bgad
import numpy as np
import pytest
import scene


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"seed": 7, "anomalies": 3, "hold_out": 0.2},
        {"anomalies": 0, "pseudo": "nsa,perlin", "threads": 1},
        {"preset": "reference", "input": "48x64", "limit_normal": 12, "setting": "general"},
    ],
    ids=["plain", "choice", "pseudo", "reference"],
)
def test_models_are_those_of_the_command_line_bit_for_bit(folder, tmp_path, options):
    options = {**scene.SMALL, **options}
    by_cli = tmp_path / "cli" / "m.bgad"
    by_python = tmp_path / "python" / "m.bgad"
    for path in [by_cli, by_python]:
        path.parent.mkdir()
    scene.run("train", folder / "data", "-o", by_cli, *scene.flags(options), cwd=tmp_path)
    trained = bgad.train(folder / "data", by_python, **options)
    assert by_python.read_bytes() == by_cli.read_bytes()
    assert trained.model == by_python
    assert json.loads(trained.split.read_text()) == json.loads((by_cli.parent / "m.split.json").read_text())
    assert trained.thresholds == pytest.approx(bgad.Detector.load(by_python).thresholds)


def test_progress_says_how_far_it_has_come(folder, tmp_path):
    events: list[dict] = []
    trained = bgad.train(folder / "data", tmp_path / "m.bgad", progress=events.append, anomalies=2, **scene.SMALL)
    encoded = [event for event in events if event["event"] == "encoded"]
    assert encoded[-1]["done"] == encoded[-1]["total"] == trained.good + trained.defective
    passes = [event for event in events if event["event"] == "pass"]
    assert [event["pass"] for event in passes] == [1, 2, 3, 4]
    assert all(event["passes"] == 4 and len(event["loss"]) == 3 for event in passes)
    assert any(event["event"] == "checkpoint" for event in events)


@pytest.mark.parametrize("how", ["exception", "Ctrl-C"])
def test_a_training_can_be_stopped_and_resumed(folder, tmp_path, how):
    class Enough(Exception):
        pass

    def stop(event):
        if event["event"] == "checkpoint":
            if how == "Ctrl-C":
                signal.raise_signal(signal.SIGINT)
            else:
                raise Enough

    output = tmp_path / "m.bgad"
    options = {**scene.SMALL, "schedule": "8x1"}
    raised, words = (KeyboardInterrupt, "resume=True") if how == "Ctrl-C" else (Enough, "")
    with pytest.raises(raised, match=words):
        bgad.train(folder / "data", output, progress=stop, **options)
    assert not output.exists() and output.with_name("m.bgad.checkpoint").exists()
    events: list[dict] = []
    bgad.train(folder / "data", output, progress=events.append, resume=True, **options)
    assert any(event["event"] == "resumed" and event["pass"] >= 1 for event in events)
    assert not output.with_name("m.bgad.checkpoint").exists()
    scene.run("train", folder / "data", "-o", tmp_path / "whole.bgad", *scene.flags(options), cwd=tmp_path)
    assert output.read_bytes() == (tmp_path / "whole.bgad").read_bytes()


def test_what_cannot_be_is_refused_in_the_words_of_the_command_line(folder, tmp_path):
    data, output = folder / "data", tmp_path / "m.bgad"
    for raised, options in [
        (bgad.OptionError, {"blocks": 100}),
        (bgad.DataError, {"anomalies": 100}),
        (bgad.DataError, {"setting": "hard:none"}),
        (bgad.DataError, {"foreground": str(tmp_path / "none")}),
    ]:
        with pytest.raises(raised) as found:
            bgad.train(data, output, **{**scene.SMALL, **options})
        done = scene.run("train", data, "-o", output, *scene.flags({**scene.SMALL, **options}), cwd=tmp_path, code=2)
        # An option is a keyword here.
        assert str(found.value) == scene.said(done).replace("--blocks", "blocks")
    with pytest.raises(bgad.DataError) as found:
        bgad.train(tmp_path / "none", output)
    assert str(found.value) == scene.said(scene.run("train", "none", "-o", output, cwd=tmp_path, code=2)).replace(
        "none", str(tmp_path / "none"), 1
    )
    with pytest.raises(bgad.OptionError, match="unknown option `blokcs`"):
        bgad.train(data, output, blokcs=3)
    with pytest.raises(bgad.OptionError, match="schedule"):
        bgad.train(data, output, schedule="5")
    with pytest.raises(bgad.TrainError, match="there is no folder"):
        bgad.train(data, tmp_path / "none" / "m.bgad")
    with pytest.raises(bgad.TrainError, match="to resume from"):
        bgad.train(data, output, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_samples_are_all_used(folder, tmp_path):
    data = folder / "data"
    good = [bgad.Sample(path) for path in sorted((data / "good").iterdir())[:20]]
    bad = [
        bgad.Sample(path, "spot", data / f"masks/spot/{path.stem}_mask.png")
        for path in sorted((data / "bad/spot").iterdir())[:3]
    ]
    trained = bgad.train([*good, *bad], tmp_path / "m.bgad", **scene.SMALL)
    assert (trained.good, trained.defective, trained.skipped) == (20, 3, ())
    with pytest.raises(bgad.OptionError, match="anomalies is for a folder"):
        bgad.train(good, tmp_path / "m.bgad", anomalies=3)


def test_images_in_memory_train_as_their_files_do(folder, tmp_path):
    data = folder / "data"
    good = [scene.picture(i) for i in range(20)]
    bad = [(scene.picture(1000 + i, (8 + 5 * i, 40 - 4 * i)), data / f"masks/spot/00{i}_mask.png") for i in range(3)]
    files = [bgad.Sample(data / f"good/{i:03}.png") for i in range(20)]
    files += [bgad.Sample(data / f"bad/spot/00{i}.png", "spot", mask) for i, (_, mask) in enumerate(bad)]
    by_file = bgad.Detector.load(bgad.train(files, tmp_path / "files.bgad", **scene.SMALL).model)

    marked = np.zeros((64, 64), bool)
    marked[8:20, 40:52] = True
    ways = {
        "arrays": [bgad.Sample(image) for image in good]
        + [bgad.Sample(bad[0][0], "spot", marked)]
        + [bgad.Sample(image, "spot", marked if i == 0 else mask.read_bytes()) for i, (image, mask) in enumerate(bad) if i > 0],
        "bytes": [bgad.Sample(data.joinpath(f"good/{i:03}.png").read_bytes()) for i in range(20)]
        + [bgad.Sample(sample.image.read_bytes(), "spot", sample.mask) for sample in files[20:]],
    }
    for way, samples in ways.items():
        # Drawn one by one.
        trained = bgad.train((sample for sample in samples), tmp_path / f"{way}.bgad", **scene.SMALL)
        assert (trained.good, trained.defective, trained.skipped) == (20, 3, ())
        detector = bgad.Detector.load(trained.model)
        assert detector.thresholds == by_file.thresholds
        for image in [scene.picture(600), scene.picture(601, (30, 12))]:
            assert detector.inspect(image).score == by_file.inspect(image).score
        kept = list((tmp_path / f"{way}.images").iterdir())
        assert len(kept) == (20 + 3 + 3 if way == "arrays" else 20 + 3)
    # What is kept is what learning needs later.
    image = scene.write_png(tmp_path / "new/1.png", scene.picture(990, (40, 8)))
    mask = scene.write_png(tmp_path / "new_mask/1.png", (scene.picture(990, (40, 8))[..., 0] > 200).astype("uint8") * 255)
    trained = bgad.train(ways["arrays"], tmp_path / "kept.bgad", hold_out=0.25, **scene.SMALL)
    assert trained.good == 15 and bgad.info(trained.model)["training"]["split"] is not None
    learned = bgad.learn(trained.model, defects=[(image, mask)], force=True, schedule="1x1")
    assert learned.learned == (image,)
    assert bgad.calibrate(trained.model, max_false_alarms=0.5)["thresholds"] == bgad.info(trained.model)["thresholds"]
    with pytest.raises(TypeError, match="float64"):
        bgad.train([bgad.Sample(np.zeros((8, 8)))], tmp_path / "none.bgad")
    assert not (tmp_path / "none.images").exists()


def test_images_in_memory_are_found_again_when_training_is_resumed(tmp_path):
    class Enough(Exception):
        pass

    def stop(event):
        if event["event"] == "checkpoint":
            raise Enough

    samples = [bgad.Sample(scene.picture(i)) for i in range(20)]
    options = {**scene.SMALL, "schedule": "6x1"}
    with pytest.raises(Enough):
        bgad.train(samples, tmp_path / "a.bgad", progress=stop, **options)
    bgad.train(samples, tmp_path / "a.bgad", resume=True, **options)
    bgad.train(samples, tmp_path / "b.bgad", **options)
    image = scene.picture(700, (9, 9))
    scores = [bgad.Detector.load(tmp_path / name).inspect(image).score for name in ("a.bgad", "b.bgad")]
    assert scores[0] == scores[1]


def test_masks_that_say_nothing_are_left_out_as_by_the_command_line(tmp_path):
    data = scene.write_data(tmp_path / "data")
    scene.write_png(data / "masks/spot/001_mask.png", np.zeros((64, 64), np.uint8))
    options = {**scene.SMALL, "anomalies": 8}
    done = scene.run("train", data, "-o", tmp_path / "cli.bgad", *scene.flags(options), cwd=tmp_path, code=None)
    trained = bgad.train(data, tmp_path / "python.bgad", **options)
    assert trained.defective == 7
    assert len(trained.skipped) == 1 and trained.skipped[0] in done.stderr
    assert (tmp_path / "python.bgad").read_bytes() == (tmp_path / "cli.bgad").read_bytes()


def test_an_image_that_cannot_be_used_is_named(tmp_path):
    data = scene.write_data(tmp_path / "data")
    (data / "good/000.png").write_bytes(b"no image")
    events: list[dict] = []
    samples = [bgad.Sample(path) for path in sorted((data / "good").iterdir())]
    trained = bgad.train(samples, tmp_path / "m.bgad", progress=events.append, **scene.SMALL)
    assert trained.good == len(samples) - 1
    assert len(trained.skipped) == 1 and "000.png" in trained.skipped[0]
    assert [event["text"] for event in events if event["event"] == "skipped"] == list(trained.skipped)


def test_the_estimator_has_pyod_s_names(folder, tmp_path):
    good = sorted((folder / "data/good").iterdir())
    estimator = bgad.BGAD(seed=3, **scene.SMALL)
    assert estimator.fit(good[:30]) is estimator
    assert estimator.decision_scores_.shape == estimator.labels_.shape == (30,)
    assert estimator.threshold_ == estimator.detector_.thresholds[0]
    np.testing.assert_array_equal(estimator.labels_, estimator.decision_scores_ > estimator.threshold_)
    images = [scene.picture(500), scene.picture(501, (20, 20))]
    scores = estimator.decision_function(images)
    assert scores.tolist() == [estimator.detector_.inspect(image).score for image in images]
    np.testing.assert_array_equal(estimator.predict(images), scores > estimator.threshold_)
    assert estimator.predict(images)[1] == 1
    assert bgad.BGAD(**estimator.get_params()).get_params() == estimator.get_params()
    with pytest.raises(ValueError, match="fit first"):
        bgad.BGAD().predict(images)
    with pytest.raises(ValueError, match="a label for each"):
        estimator.fit(good, [0])
    bad = sorted((folder / "data/bad/spot").iterdir())
    by_array = bgad.BGAD(seed=3, **scene.SMALL).fit(np.stack([scene.picture(i) for i in range(30)]))
    np.testing.assert_array_equal(by_array.decision_scores_, estimator.decision_scores_)
    taught = bgad.BGAD(tmp_path / "m.bgad", **scene.SMALL).fit([*good, *bad[:4]], [0] * len(good) + [1] * 4)
    assert (tmp_path / "m.bgad").is_file()
    assert taught.predict(bad[4:]).tolist() == [1] * 4


def test_info_says_what_the_file_says_about_itself(model, detector):
    info = bgad.info(model)
    assert info == detector.header
    assert info["options"]["blocks"] == 2
    assert (info["thresholds"]["ok"], info["thresholds"]["ng"]) == pytest.approx(detector.thresholds)
    with pytest.raises(bgad.ModelError):
        bgad.info(model.with_suffix(".split.json"))


@pytest.mark.parametrize("quick", [True, False])
def test_doctor_finds_what_the_command_line_finds(tmp_path, quick):
    data = scene.write_data(tmp_path / "data")
    (data / "good/001.png").write_bytes(b"no image")
    (data / "masks/spot/002_mask.png").unlink()
    events: list[dict] = []
    found = bgad.doctor(data, quick=quick, input=64, progress=events.append)
    done = scene.run("doctor", data, "--json", "--input", 64, *(["--quick"] if quick else []), cwd=tmp_path, code=1)
    assert found == json.loads(done.stdout)
    assert {"unreadable", "mask-missing"} <= {finding["check"] for finding in found["findings"]}
    assert events[-1]["done"] == events[-1]["total"]
    with pytest.raises(bgad.DataError):
        bgad.doctor(tmp_path / "none")
    with pytest.raises(bgad.OptionError, match="input size"):
        bgad.doctor(data, input="tiny")
