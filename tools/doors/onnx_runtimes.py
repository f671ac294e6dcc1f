"""What an exported model finds, against what `bgad inspect` finds, image by image.

usage: onnx_runtimes.py BGAD MODEL FOLDER [--all] [--limit N] [--image-size HxW]

Prints a table: the largest difference of score and map among images of up to 50 nats; of the scores of the others relative to them; the largest
share of the pixels of a map that are off by more than 1e-3 nats and 1e-4 of their value; how many verdicts differ. `pixels`: bgad gets the
pixels that pillow decoded, as a PNG, and resizes them itself, the runtime gets them by tools/verify_export.py. `files`: bgad gets the file, and
decodes JPEG by itself. Fails on the same pixels if a score of up to 50 nats is off by more than 1e-3 nats, one above by more than 1e-4 of it, more than
1 % of a map, or a verdict differs.
With --all also: the certificate in every runtime, bf16 that is caught, a changed weight, wrong preprocessing, any batch,
anomalib's profile and its OpenVINOInferencer.
"""
import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import verify_export  # noqa: E402

# Nats; and, above 50 nats, of the number. A score of thousands is half the square of features that are some hundred deviations from what is usual.
# Rounded to 32 bit after each of some sixty layers they are off by about 1e-5 of that, in bgad as in the runtime, and the square by twice as much: measured
# up to 8.8e-5 (docs/export.md). Computing in 16 bit is off by 1e-2.
BAR, RELATIVE = 1e-3, 1e-4
# Share of pixels of a map: single ones near a peak of an image that is odd as a whole.
FEW = 0.01
ORDINARY = 50.0
VERDICTS = ["OK", "REVIEW", "NG"]


def bgad(*arguments, codes=(0,)):
    ran = subprocess.run([asked.bgad, *map(str, arguments)], capture_output=True, text=True)
    if ran.returncode not in codes:
        sys.exit(f"bgad {' '.join(map(str, arguments))}: exit code {ran.returncode}\n{ran.stderr}")
    return ran


def export(profile):
    file = Path(f"{asked.model.stem}.{profile}.onnx")
    more = ["--image-size", asked.image_size] if asked.image_size else []
    print(bgad("export", asked.model, "-o", file, "--profile", profile, *more).stderr.strip())
    return file


def inspected(files, folder):
    """Record and map of each file, by `bgad inspect`."""
    shutil.rmtree(folder, ignore_errors=True)
    ran = bgad("inspect", asked.model, *files, "--format", "jsonl", "--out", folder, "--style", "map", "--map-format", "npy", codes=(0, 1))
    records = {Path(record["file"]).name: record for record in map(json.loads, ran.stdout.splitlines())}
    maps = {path.name.split(".")[0]: np.load(path) for path in folder.rglob("*.map.npy")}
    return [(records[file.name], maps[file.stem]) for file in files]


def picture(file):
    """8 bit, RGB, upright."""
    return np.asarray(ImageOps.exif_transpose(Image.open(file)).convert("RGB"))


def as_pixels(files):
    """PNGs of what pillow decodes."""
    folder = Path("pixels")
    folder.mkdir(exist_ok=True)
    decoded = [folder / f"{source.stem}.png" for source in files]
    for source, path in zip(files, decoded):
        Image.fromarray(picture(source)).save(path, compress_level=1)
    return decoded


class Worst:
    """The largest differences of a row of the table."""

    def __init__(self):
        self.score = self.map = self.relative = self.beyond = 0.0
        self.flips = self.images = 0
        self.largest = -np.inf
        self.scores_hold = True

    def add(self, found, record, want):
        self.images += 1
        self.largest = max(self.largest, record["score"])
        self.flips += VERDICTS[int(found["verdict"][0])] != record["verdict"]
        score, off = abs(float(found["score"][0]) - record["score"]), np.abs(found["map"][0] - want)
        self.scores_hold &= bool(score <= (BAR if record["score"] <= ORDINARY else RELATIVE * record["score"]))
        self.beyond = max(self.beyond, float((off > BAR + RELATIVE * np.abs(want)).mean()))
        if record["score"] <= ORDINARY:
            self.score, self.map = max(self.score, score), max(self.map, float(off.max()))
        else:
            self.relative = max(self.relative, score / record["score"])

    def row(self, name):
        print(f"| {name} | {self.images} | {self.score:.1e} | {self.map:.1e} | {self.relative:.1e} | {100 * self.beyond:.2f} % | {self.flips} | {self.largest:.0f} |")


def compare(file, files, how):
    """The table of the native profile."""
    decoded = as_pixels(files)
    inputs = [verify_export.preprocess(picture(path), how).astype(np.float32) for path in decoded]
    runtimes = {name: verify_export.runtime_of(str(file), *which)[0] for name, which in RUNTIMES.items() if asked.all or name == "ONNX Runtime"}
    rows = {f"{name}, pixels": Worst() for name in runtimes} | {"ONNX Runtime, files": Worst()}
    of_pixels, of_files = inspected(decoded, Path("maps-pixels")), inspected(files, Path("maps-files"))
    spent = 0.0
    for index, image in enumerate(inputs):
        for name, run in runtimes.items():
            started = time.perf_counter()
            found = run(image[None])
            if name == "ONNX Runtime":
                spent += time.perf_counter() - started
                rows["ONNX Runtime, files"].add(found, *of_files[index])
            rows[f"{name}, pixels"].add(found, *of_pixels[index])
    print("| | images | score, nats | map, nats | score, relative | pixels beyond | verdicts that differ | highest score |\n|---|---|---|---|---|---|---|---|")
    for name, worst in rows.items():
        worst.row(name)
    print(f"{1000 * spent / len(inputs):.1f} ms an image in ONNX Runtime")
    return inputs, of_pixels, rows


def near(name, worst):
    assert worst.scores_hold and worst.beyond <= FEW, f"{name}: {worst.__dict__}"
    assert worst.flips == 0, f"{name}: {worst.flips} verdicts differ"


def any_batch(file, inputs):
    run, _ = verify_export.runtime_of(str(file), "onnxruntime", None)
    alone = [run(image[None]) for image in inputs[:5]]
    together = run(np.stack(inputs[:5]))
    for name, values in together.items():
        for i, value in enumerate(values):
            assert np.allclose(value, alone[i][name][0], atol=BAR), f"{name} of image {i} of a batch"
    print("a batch of 5 gives what five images give")


def no_image(file, inputs):
    """Pixels of 0 to 255, and what is not a number, are no image: never OK."""
    for runtime in ("onnxruntime", "openvino"):
        run, _ = verify_export.runtime_of(str(file), runtime, "f32" if runtime == "openvino" else None)
        broken = inputs[0].copy()
        broken[1, 3, 3] = np.nan
        found = run(np.stack([inputs[0] * 255, inputs[0] - 0.5, broken]))
        assert list(found["verdict"]) == [2, 2, 2] and np.isnan(found["score"]).all(), (runtime, found["score"])
    print("an input outside 0 to 1 is NG, and its score not a number")


def certificates(native, anomalib):
    for file in (native, anomalib):
        for name, which in RUNTIMES.items():
            wrong = verify_export.verify(str(file), *which)
            assert not wrong, (file, name, wrong)
        wrong = verify_export.verify(str(file), "openvino", "bf16")
        assert wrong and "INFERENCE_PRECISION_HINT=f32" in wrong[1], wrong
        print(f"{file}: bf16: {'; '.join(wrong[:2])}")
    bgad("verify-export", native, "--model", asked.model)
    bgad("verify-export", anomalib, "--model", asked.model)


def changed_weight(native):
    """One weight of the first convolution, a tenth larger: the hash tells, and so do the numbers alone."""
    file = onnx.load(native)
    weights = max(file.graph.initializer, key=lambda t: ("stem" in t.name, len(t.dims)))
    values = onnx.numpy_helper.to_array(weights).copy()
    values.flat[int(np.abs(values).argmax())] *= 1.1
    weights.raw_data = values.tobytes()
    onnx.save(file, "changed.onnx")
    said = bgad("verify-export", "changed.onnx", codes=(1,)).stderr
    assert "constants of the graph" in said and "expected" in said, said
    wrong = verify_export.verify("changed.onnx")
    assert wrong, "the numbers of a changed weight"
    print(f"a changed weight: {wrong[0]}")


def wrong_preprocessing(native):
    def bilinear(pixels, how):
        small = Image.fromarray(pixels).resize((how["width"], how["height"]), Image.BILINEAR)
        return np.asarray(small, np.float32).transpose(2, 0, 1) / 255

    def pillow(pixels, how):
        small = Image.fromarray(pixels).resize((how["width"], how["height"]), Image.LANCZOS)
        return np.asarray(small, np.float32).transpose(2, 0, 1) / 255

    def no_filter(pixels, how):
        small = Image.fromarray(pixels).resize((how["width"], how["height"]), Image.NEAREST)
        return np.asarray(small, np.float32).transpose(2, 0, 1) / 255

    wrongs = {
        "bilinear": bilinear,
        "nearest": no_filter,
        "Lanczos of pillow": pillow,
        "BGR": lambda pixels, how: verify_export.preprocess(pixels, how)[::-1],
        "0 to 255": lambda pixels, how: verify_export.preprocess(pixels, how) * 255,
        "mean and deviation": lambda pixels, how: (verify_export.preprocess(pixels, how) - 0.5) / 0.5,
    }
    for name, wrong in wrongs.items():
        said = verify_export.verify(str(native), preprocess=wrong)
        assert said and said[0].startswith("preprocessing"), (name, said)
        print(f"{name}: {said[0].split(';')[0]}")


def anomalib_profile(file, inputs, of_pixels):
    """Names, shapes, types and ranges of anomalib's models, and what they say."""
    session = onnxruntime.InferenceSession(str(file))
    assert [value.name for value in session.get_inputs()] == ["input"]
    assert [value.name for value in session.get_outputs()] == ["pred_score", "pred_label", "anomaly_map", "pred_mask"]
    thresholds = json.loads(session.get_modelmeta().custom_metadata_map["bgad.thresholds"])
    squash = lambda nats, how: 1 / (1 + np.exp((how["threshold"] - np.asarray(nats, np.float64)) / how["width"]))  # noqa: E731
    run, _ = verify_export.runtime_of(str(file), "onnxruntime", None)
    for image, (record, want) in zip(inputs, of_pixels):
        found = run(image[None])
        assert found["pred_score"].shape == (1,) and found["pred_label"].dtype == bool and found["pred_mask"].dtype == bool
        assert found["anomaly_map"].shape == found["pred_mask"].shape == (1, 1, *image.shape[1:])
        assert abs(found["pred_score"][0] - squash(record["score"], thresholds["pred_score"])) < 1e-4
        assert found["pred_label"][0] == (record["verdict"] != "OK")
        assert np.abs(found["anomaly_map"][0, 0] - squash(want, thresholds["anomaly_map"])).max() < 1e-4
        assert found["pred_mask"].any() == (record["verdict"] != "OK" and not record["whole_image"])
    print(f"anomalib's profile: {len(inputs)} images")


def anomalib_inferencer(file, files, of_pixels):
    """anomalib's own OpenVINOInferencer, from its own file, given arrays. The package around it (torch, lightning, timm, kornia) is some
    gigabytes and is not installed: what this file takes from it, a type to tell tensors from arrays, a reader of files that is not called
    and a class that holds the results, stands in; everything that the inferencer does itself is anomalib's."""
    import types

    source = Path(importlib.util.find_spec("anomalib").submodule_search_locations[0]) / "deploy/inferencers/openvino_inferencer.py"
    stand_ins = {name: types.ModuleType(name) for name in ("torch", "anomalib.data", "anomalib.data.utils")}
    stand_ins["torch"].Tensor = type("Tensor", (), {})
    stand_ins["anomalib.data"].NumpyImageBatch = lambda **fields: types.SimpleNamespace(**fields)
    stand_ins["anomalib.data.utils"].read_image = None
    sys.modules.update(stand_ins)
    module = types.ModuleType("openvino_inferencer")
    exec(compile(source.read_text(), str(source), "exec"), module.__dict__)
    inferencer = module.OpenVINOInferencer(path=file, device="CPU", config={"INFERENCE_PRECISION_HINT": "f32"})
    how = json.loads(onnxruntime.InferenceSession(str(file)).get_modelmeta().custom_metadata_map["bgad.preprocess"])
    for path, (record, _) in zip(files, of_pixels):
        image = verify_export.preprocess(picture(path), how).transpose(1, 2, 0)
        found = inferencer.predict(image)
        assert bool(found.pred_label[0]) == (record["verdict"] != "OK"), path
        assert found.anomaly_map.shape == (1, 1, how["height"], how["width"])
    print(f"anomalib's OpenVINOInferencer: {len(files)} images, the same labels")


RUNTIMES = {"ONNX Runtime": ("onnxruntime", None), "OpenVINO f32": ("openvino", "f32")}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bgad")
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--image-size")
    parser.add_argument("--worst", type=int, default=5, help="of onnx_rounding.py")
    return parser.parse_args()


def images():
    """The pictures of the folder, numbered: records are told apart by name."""
    found = sorted(path for path in asked.folder.rglob("*") if path.suffix.lower() in {".png", ".jpg", ".jpeg", ".bmp"} and "mask" not in path.stem)
    copies = Path("images")
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir()
    files = []
    for index, path in enumerate(found[: asked.limit]):
        files.append(copies / f"{index:05}{path.suffix}")
        files[-1].write_bytes(path.read_bytes())
    assert files, f"{asked.folder}: found no image"
    return files


def main():
    files = images()
    native = export("native")
    print(f"OpenVINO {openvino.__version__.split('-')[0]}, ONNX Runtime {onnxruntime.__version__}, onnx {onnx.__version__}")
    onnx.checker.check_model(str(native), full_check=True)
    meta = {entry.key: entry.value for entry in onnx.load(native).metadata_props}
    inputs, of_pixels, rows = compare(native, files, json.loads(meta["bgad.preprocess"]))
    for name, worst in rows.items():
        if "pixels" in name:
            near(name, worst)
    if asked.all:
        anomalib = export("anomalib")
        onnx.checker.check_model(str(anomalib), full_check=True)
        certificates(native, anomalib)
        changed_weight(native)
        wrong_preprocessing(native)
        any_batch(native, inputs)
        no_image(native, inputs)
        anomalib_profile(anomalib, inputs, of_pixels)
        anomalib_inferencer(anomalib, files, of_pixels)
    print("fine")


if __name__ == "__main__":
    asked = arguments()
    main()
