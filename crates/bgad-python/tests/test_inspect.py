"""The same bits as the command line, whatever an image comes as; errors in its words."""

from __future__ import annotations

import base64
import io
import multiprocessing
import os
import pickle
import re
import shutil
import threading
from pathlib import Path

import bgad
import numpy as np
import PIL.Image
import psutil
import pytest
import scene


def same(found: bgad.Inspection, other: bgad.Inspection) -> None:
    assert (found.score, found.verdict, found.regions, found.parts) == (other.score, other.verdict, other.regions, other.parts)
    np.testing.assert_array_equal(found.anomaly_map, other.anomaly_map)


def test_path_bytes_and_array_give_the_bits_of_the_command_line(detector, model, folder):
    images = sorted((folder / "data").glob("*/**/0*0[0-9].png"))
    images = [image for image in images if "masks" not in image.parts]
    assert len(images) == 18
    for image, said in zip(images, scene.inspected(model, *images), strict=True):
        found = detector.inspect(image)
        assert np.float32(found.score) == np.float32(said["score"])
        assert (found.verdict, found.height, found.width) == (said["verdict"], said["height"], said["width"])
        assert [(r.x, r.y, r.width, r.height) for r in found.regions] == [
            (r["x"], r["y"], r["width"], r["height"]) for r in said["regions"]
        ]
        assert [np.float32(r.peak) for r in found.regions] == [np.float32(r["peak"]) for r in said["regions"]]
        same(detector.inspect(str(image)), found)
        same(detector.inspect(image.read_bytes()), found)
        same(detector.inspect(bytearray(image.read_bytes())), found)
        same(detector.inspect(memoryview(image.read_bytes())), found)
    verdicts = {detector.inspect(image).verdict for image in images}
    assert {"OK", "NG"} <= verdicts, "the scene has both"


@pytest.mark.parametrize("shape", ["grey", "rgb", "rgba"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_are_as_the_file_that_holds_them(detector, tmp_path, shape, dtype):
    image = scene.picture(3, (20, 20)).astype(dtype)
    image = {"grey": image[..., 0], "rgb": image, "rgba": np.dstack([image, np.full((64, 64), 77, dtype)])}[shape]
    if dtype == np.uint16:
        image = image * np.uint16(257) + np.uint16(3)
    file = scene.write_png(tmp_path / "a.png", image)
    same(detector.inspect(image), detector.inspect(file))


def test_strides_do_not_matter(detector):
    wide = np.zeros((130, 140, 4), np.uint8)
    wide[10:74, 20:84, :3] = scene.picture(5, (30, 8))
    crop = wide[10:74, 20:84, :3]
    whole = detector.inspect(np.ascontiguousarray(crop))
    same(detector.inspect(crop), whole)
    same(detector.inspect(np.asfortranarray(crop)), whole)
    same(detector.inspect(crop[::-1, ::-1][::-1, ::-1]), whole)
    flipped = detector.inspect(crop[:, ::-1])
    same(flipped, detector.inspect(np.ascontiguousarray(crop[:, ::-1])))
    assert flipped.score != whole.score
    read_only = crop.copy()
    read_only.flags.writeable = False
    same(detector.inspect(read_only), whole)


def test_the_map_is_the_library_s_own_memory(detector):
    found = detector.inspect(scene.picture(1))
    assert found.anomaly_map.dtype == np.float32
    assert found.anomaly_map.shape == detector.input_size
    assert not found.anomaly_map.flags.owndata
    assert not found.anomaly_map.flags.writeable


def test_what_is_no_image_is_refused_in_the_words_of_the_command_line(detector, model, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(scene.write_png(tmp_path / "a.png", scene.picture(1)).read_bytes()[:200])
    empty = tmp_path / "empty.png"
    empty.touch()
    for file in [broken, empty, tmp_path / "none.png"]:
        with pytest.raises(bgad.ImageError) as raised:
            detector.inspect(file)
        (said,) = scene.inspected(model, file)
        assert str(raised.value) == said["error"]
        assert raised.value.path == str(file)
        assert isinstance(raised.value, bgad.BgadError)
    with pytest.raises(bgad.ImageError, match="truncated") as raised:
        detector.inspect(broken.read_bytes())
    assert raised.value.path is None
    for array, kind, words in [
        (np.zeros((8, 8, 2), np.uint8), bgad.ImageError, "1, 3 or 4 channels, found 2"),
        (np.zeros((0, 8), np.uint8), bgad.ImageError, "found 0x8"),
        (np.zeros((8, 8)), TypeError, "float64"),
        (np.zeros((8, 8), ">u2"), TypeError, ">u2"),
        (np.zeros((2, 8, 8, 3), np.uint8), TypeError, r"\[2, 8, 8, 3\]"),
        ([[1, 2], [3, 4]], TypeError, "found list"),
        (None, TypeError, "found NoneType"),
    ]:
        with pytest.raises(kind, match=words):
            detector.inspect(array)


def test_a_file_that_is_no_model_is_refused_in_the_words_of_the_command_line(folder, tmp_path):
    text = tmp_path / "text.bgad"
    text.write_text("no model")
    for file in [text, tmp_path / "none.bgad", tmp_path]:
        with pytest.raises(bgad.ModelError) as raised:
            bgad.Detector.load(file)
        assert str(raised.value) == scene.said(scene.run("inspect", file, "x.png", cwd=tmp_path, code=2))
    with pytest.raises(bgad.ModelError):
        bgad.Detector.from_bytes(b"no model")
    for threads in [0, 2000]:
        with pytest.raises(ValueError, match="1 to 1024"):
            bgad.Detector.load(folder / "m.bgad", threads=threads)
    with pytest.raises(TypeError, match="load"):
        bgad.Detector()


def test_batches_are_as_images_one_by_one_and_in_order(detector, tmp_path):
    images = [scene.picture(i, (10, 10) if i % 3 == 0 else None) for i in range(21)]
    for batch in [1, 4, 100]:
        found = list(detector.inspect_batch(iter(images), batch=batch))
        assert len(found) == len(images)
        for one, image in zip(found, images, strict=True):
            same(one, detector.inspect(image))
    none = tmp_path / "none.png"
    found = list(detector.inspect_batch([images[0], none, images[1]], errors="return"))
    assert isinstance(found[1], bgad.ImageError) and found[1].path == str(none)
    same(found[2], detector.inspect(images[1]))
    with pytest.raises(bgad.ImageError):
        list(detector.inspect_batch([images[0], none]))
    with pytest.raises(TypeError, match="found int"):
        list(detector.inspect_batch([7], errors="return"))
    with pytest.raises(ValueError, match="at least 1"):
        detector.inspect_batch(images, batch=0)
    with pytest.raises(ValueError, match="ignore"):
        detector.inspect_batch(images, errors="ignore")


def test_batches_are_drawn_as_they_are_worked_on(detector):
    drawn = []

    def images():
        for i in range(100):
            drawn.append(i)
            yield scene.picture(i)

    results = detector.inspect_batch(images(), batch=8)
    next(results)
    assert len(drawn) == 8


def test_results_do_not_depend_on_threads(model, detector):
    for threads in [1, 3]:
        other = bgad.Detector.load(model, threads=threads)
        assert other.threads == threads
        same(other.inspect(scene.picture(2, (5, 40))), detector.inspect(scene.picture(2, (5, 40))))


def test_other_python_threads_run_meanwhile(detector):
    images = [scene.picture(i) for i in range(64)]
    work = threading.Thread(target=lambda: list(detector.inspect_batch(images, batch=64)))
    work.start()
    steps = 0
    while work.is_alive():
        steps += 1
    assert steps > 1000, "the interpreter was held while images were inspected"


def test_many_threads_may_share_a_detector(model):
    detector = bgad.Detector.load(model, threads=1)
    images = [scene.picture(i, (i, i)) for i in range(6)]
    want = [detector.inspect(image).score for image in images]
    got: dict[int, list[float]] = {}

    def work(number: int) -> None:
        got[number] = [detector.inspect(image).score for image in images]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: want for number in range(8)}


def test_a_pickled_detector_is_the_same_model_or_none(detector, model, tmp_path):
    copy = tmp_path / "copy.bgad"
    shutil.copy(model, copy)
    text = pickle.dumps(bgad.Detector.load(copy, threads=2))
    assert len(text) < 1000
    image = scene.picture(4, (10, 10))
    again = pickle.loads(text)
    assert (again.sha256, again.threads, again.path) == (detector.sha256, 2, copy)
    same(again.inspect(image), detector.inspect(image))
    scene.run("train", "data", "-o", copy, "--seed", "1", *scene.flags(scene.SMALL), cwd=model.parent)
    with pytest.raises(bgad.ModelChangedError, match=detector.sha256):
        pickle.loads(text)
    copy.unlink()
    with pytest.raises(bgad.ModelError):
        pickle.loads(text)
    from_memory = bgad.Detector.from_bytes(model.read_bytes())
    assert (from_memory.path, from_memory.sha256) == (None, detector.sha256)
    same(pickle.loads(pickle.dumps(from_memory)).inspect(image), detector.inspect(image))


def test_results_can_be_pickled(detector):
    found = detector.inspect(scene.picture(4, (10, 10)))
    again = pickle.loads(pickle.dumps(found))
    same(again, found)
    assert again.record == found.record


def score(detector: bgad.Detector, seed: int) -> float:
    return detector.inspect(scene.picture(seed)).score


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("threads", [None, 1])
def test_processes_may_be_forked_and_spawned(model, start, threads):
    detector = bgad.Detector.load(model, threads=threads)
    want = [score(detector, seed) for seed in range(4)]
    with multiprocessing.get_context(start).Pool(2) as pool:
        got = pool.starmap_async(score, [(detector, seed) for seed in range(4)]).get(timeout=120)
    assert got == want


def test_the_record_is_that_of_the_command_line(detector, model, folder):
    image = folder / "data/bad/spot/002.png"
    (said,) = scene.inspected(model, image)
    record = detector.inspect(image).record
    ours = {"id", "created", "secs"}
    common = (record.keys() & said.keys()) - ours - {"model"}
    assert {"verdict", "score", "regions", "parts", "width", "height"} <= common
    for key in common:
        assert record[key] == said[key], key
    assert record["model"]["sha256"] == detector.sha256


def test_what_was_found_is_drawn_over_the_image(detector, tmp_path):
    image = scene.picture(4, (10, 10))
    file = scene.write_png(tmp_path / "a.png", image)
    found = detector.inspect(file)
    drawn = found.overlay()
    assert drawn.dtype == np.uint8 and drawn.ndim == 3 and drawn.shape[2] == 3
    np.testing.assert_array_equal(detector.inspect(image).overlay(), drawn)
    np.testing.assert_array_equal(detector.inspect(file.read_bytes()).overlay(), drawn)
    bare = found.overlay(footer=False)
    assert bare.shape[0] == bare.shape[1] < drawn.shape[0]
    side = bare.shape[1]
    both = found.overlay(style="side-by-side", footer=False)
    np.testing.assert_array_equal(both[:, -side:], bare)
    assert (found.overlay(style="heat", footer=False) != bare).any()
    with pytest.raises(bgad.OptionError, match="ascii"):
        found.overlay(style="ascii")
    # What changes afterwards is not drawn on.
    scene.write_png(file, scene.picture(5))
    with pytest.raises(bgad.ImageError, match="the image that was inspected"):
        found.overlay()
    np.testing.assert_array_equal(found.overlay(image), drawn)
    again = pickle.loads(pickle.dumps(found))
    with pytest.raises(ValueError, match="unpickled"):
        again.overlay()
    assert not again.anomaly_map.flags.writeable
    # A result does not keep the pixels of a camera.
    taken = image.copy()
    found = detector.inspect(taken)
    np.testing.assert_array_equal(found.overlay(), drawn)
    del taken
    with pytest.raises(ValueError, match="not in memory any more"):
        found.overlay()
    assert "no picture: the image of this result is not in memory any more" in found._repr_html_()


def test_notebooks_show_verdict_score_regions_and_picture(detector):
    image = scene.picture(4, (10, 10))
    found = detector.inspect(image)
    picture = re.search('src="data:image/jpeg;base64,([^"]+)"', found._repr_html_())
    shown = PIL.Image.open(io.BytesIO(base64.b64decode(picture[1])))
    assert shown.format == "JPEG" and shown.size[0] >= 256
    assert found.verdict == "NG"
    shown = found._repr_html_()
    assert "NG" in shown and f"{found.score:.3f}" in shown and f"{found.regions[0].peak:.2f}" in shown
    assert "<table>" not in detector.inspect(scene.picture(4))._repr_html_()


def test_calls_leak_nothing(model):
    """100,000 calls are measured in docs/python.md; here so many that a map lost at each would show."""
    calls = int(os.environ.get("BGAD_LEAK_CALLS", "2000"))
    detector = bgad.Detector.load(model, threads=1)
    image = scene.picture(1, (10, 10))
    data = scene.write_png(Path(os.environ.get("TMPDIR", "/tmp")) / f"leak-{os.getpid()}.png", image)
    bytes_ = data.read_bytes()
    data.unlink()
    process = psutil.Process()

    def some(number: int) -> None:
        for _ in range(number // 4):
            detector.inspect(image)
            detector.inspect(bytes_)
            list(detector.inspect_batch([image, bytes_]))
            with pytest.raises(bgad.ImageError):
                detector.inspect(b"no image")

    some(400)
    before = process.memory_info().rss
    some(calls)
    grown = process.memory_info().rss - before
    # A map is 16 KiB, an image 12 KiB: one of them lost at each call would be three times this.
    assert grown < 8 << 20, f"{grown / 2**20:.1f} MiB more after {calls} calls"
