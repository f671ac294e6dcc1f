"""Runs the certificate of a file written by `bgad export` in the runtime that will use it.

usage: verify_export.py FILE.onnx [--runtime onnxruntime|openvino] [--hint f32|bf16|...]
Needs numpy and onnxruntime, which also reads the certificate; openvino for that runtime. Import it to check your own
preprocessing: `verify("part.onnx", preprocess=mine)`. Exit code 1 if the runtime does not find what the training engine found.
"""
import argparse
import json
import sys

import numpy as np
import onnxruntime


def draw(seed, height, width):
    """The certificate's test image: uint8 [height, width, 3]."""
    y, x = np.ogrid[:height, :width]
    y, x, value = y.astype(np.uint32), x.astype(np.uint32), np.uint32(40 + 29 * seed % 128)
    for k in (6, 4, 2, 0):
        n = (y >> k) * np.uint32(0x85EBCA77) + (x >> k) * np.uint32(0xC2B2AE3D) + np.uint32((seed * 0x9E3779B1 + k * 0x27D4EB2F) % 2**32)
        n = (n ^ (n >> 15)) * np.uint32(0x2C1B3C6D)
        n = (n ^ (n >> 12)) * np.uint32(0x297A2D39)
        value = value + ((n ^ (n >> 15)) >> 24 >> (2 + seed % 4))
    return np.minimum(value[..., None] + np.uint32(3 + seed % 5) * np.arange(3, dtype=np.uint32), 255).astype(np.uint8)


def lanczos(size, out):
    """The weights, [out, size], that bring `size` pixels to `out`: Lanczos3, widened where it shrinks."""
    scale = size / out
    wide, centre, x = max(scale, 1.0), (np.arange(out)[:, None] + 0.5) * scale, np.arange(size)
    seen = (x >= np.floor(centre - 3 * wide)) & (x < np.ceil(centre + 3 * wide))
    d = (x - (centre - 0.5)) / wide
    weights = np.where(seen & (d >= -3) & (d < 3), np.sinc(d) * np.sinc(d / 3), 0.0)
    return weights / weights.sum(1, keepdims=True)


def resized(picture, rows, columns):
    """A uint8 or uint16 picture [height, width, C] at another size, bit for bit as bgad does it: in whole numbers, axis by axis."""
    white, room, most = (255, 15, 22) if picture.dtype == np.uint8 else (65535, 31, 46)
    pixels, order = picture.astype(np.float64), [(0, rows), (1, columns)]
    for axis, out in order if picture.dtype == np.uint8 else order[::-1]:
        if pixels.shape[axis] != out:
            weights = lanczos(pixels.shape[axis], out)
            bits = next((b for b in range(most) if np.floor(weights.max() * 2.0 ** (b + 1) + 0.5) >= 2.0**room), most - 1)
            whole = np.copysign(np.floor(np.abs(weights) * 2.0**bits + 0.5), weights)
            sums = np.moveaxis(np.tensordot(whole, pixels, (1, axis)), 0, axis)
            pixels = np.clip(np.floor((sums + 2.0 ** (bits - 1)) / 2.0**bits), 0, white)
    return pixels


def preprocess(picture, how):
    """A picture, uint8 or uint16 [height, width, 3] in RGB, as the graph's input: float32 [3, H, W] of 0 to 1. Copy this into your program."""
    top, left, rows, columns = how["window"]
    white = 255 if picture.dtype == np.uint8 else 2 ** how["bit_depth"] - 1
    values = np.minimum(resized(picture, rows, columns).astype(np.float32) / np.float32(white), 1)
    beside = ((top, how["height"] - top - rows), (left, how["width"] - left - columns), (0, 0))
    return np.pad(values, beside, mode="edge").transpose(2, 0, 1)


def cells(values, length=8):
    """Where the cells of a pooled axis begin and end."""
    return [(min(i * values // length, values - 1), max((i + 1) * values // length, min(i * values // length, values - 1) + 1)) for i in range(length)]


def runtime_of(path, runtime, hint):
    """A function from a batch to the outputs by name, and what the runtime computes in."""
    if runtime == "openvino":
        import openvino

        compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": hint} if hint else {})
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        return lambda batch: {next(iter(o.get_names())): v for o, v in compiled({"input": batch}).items()}, precision
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda batch: dict(zip(names, session.run(None, {"input": batch}))), "f32"


def verify(path, runtime="onnxruntime", hint=None, preprocess=preprocess):
    """What differs, as sentences; nothing if the certificate holds."""
    meta = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).get_modelmeta().custom_metadata_map
    parity, how = json.loads(meta["bgad.parity"]), json.loads(meta["bgad.preprocess"])
    score, label, chart = {"native": ("score", "verdict", "map"), "anomalib": ("pred_score", "pred_label", "anomaly_map")}[meta["bgad.profile"]]
    run, precision = runtime_of(path, runtime, hint)
    wrong, tolerance = [], parity["tolerance"]

    def compare(what, expected, found):
        expected, found = np.asarray(expected, np.float64), np.asarray(found, np.float64)
        off = np.abs(found - expected)
        if not np.all(off <= tolerance["absolute"] + tolerance["relative"] * np.abs(expected)):
            wrong.append(f"{what} is off by {np.max(off):.3g}; {runtime} computes in {precision}")
            if "bf16" in precision or "bfloat16" in precision or "f16" in precision:
                wrong.append("a runtime must compute in f32: set INFERENCE_PRECISION_HINT=f32")

    images = [draw(case["seed"], how["height"], how["width"]) for case in parity["inputs"]]
    outputs = run(np.stack([image.transpose(2, 0, 1) for image in images]).astype(np.float32) / 255)
    for i, case in enumerate(parity["inputs"]):
        plane = np.squeeze(outputs[chart][i])
        pooled = [plane[a:b, c:d].mean(dtype=np.float64) for a, b in cells(plane.shape[0]) for c, d in cells(plane.shape[1])]
        compare(f"the score of test image {case['seed']}", case["score"], outputs[score][i])
        compare(f"the map of test image {case['seed']}", case["map"], pooled)
        if int(outputs[label][i]) != case["label"]:
            wrong.append(f"the verdict of test image {case['seed']} is {int(outputs[label][i])} and not {case['label']}")
    picture = parity["picture"]
    whole = preprocess(draw(picture["seed"], picture["height"], picture["width"]), how)
    middles = [(2 * i + 1) for i in range(8)]
    mine = [whole[:, y * how["height"] // 16, x * how["width"] // 16] for y in middles for x in middles]
    off = np.abs(np.ravel(mine) - picture["rgb"]).max()
    if not off <= picture["tolerance"]:
        wrong.append(f"preprocessing: a pixel of the resized test picture is off by {off * 255:.1f}/255; see bgad.preprocess: {how['resize']}, {how['channels']}, {how['range']}")
    else:
        compare("the score of the resized test picture", picture["score"], run(whole[None].astype(np.float32))[score][0])
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--runtime", choices=["onnxruntime", "openvino"], default="onnxruntime")
    parser.add_argument("--hint", help="INFERENCE_PRECISION_HINT of OpenVINO, for instance f32")
    asked = parser.parse_args()
    found = verify(asked.file, asked.runtime, asked.hint)
    print("\n".join(found) or "the certificate holds")
    sys.exit(1 if found else 0)
