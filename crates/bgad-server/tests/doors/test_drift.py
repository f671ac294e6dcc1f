"""Drift, from parts that are drawn: lamp, lens and product, and a line on which nothing changes."""

import json
import urllib.request

import numpy as np
import pytest
import tritonclient.http as http
from conftest import Running, drawn
from PIL import Image, ImageFilter

REFERENCE, WINDOW = 300, 100
BATCH = 50
SIDE = 64


@pytest.fixture(scope="module")
def line(scene):
    """A server of one model under several names: each has a line of its own."""
    names = ("lamp", "lens", "product", "same")
    for name in names:
        (scene / f"{name}.bgad").write_bytes((scene / "m.bgad").read_bytes())
    running = Running(scene, "serve", *(f"{name}.bgad" for name in names), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    yield running
    running.stop()


def photographed(seed, change=None):
    """A part under a lamp that is never quite the same."""
    picture = Image.fromarray(drawn(seed))
    if change == "product":
        picture = picture.rotate(45, resample=Image.Resampling.BICUBIC, expand=False).resize((SIDE, SIDE))
    if change == "lens":
        picture = picture.filter(ImageFilter.GaussianBlur(1.5))
    light = np.random.default_rng(seed).normal(1.0, 0.02) * (0.8 if change == "lamp" else 1.0)
    return (np.asarray(picture) * light).clip(0, 255).round().astype(np.uint8)


def judge(line, model, seeds, change=None):
    client = http.InferenceServerClient(line.at["http"])
    for at in range(0, len(seeds), BATCH):
        pixels = np.stack([photographed(seed, change) for seed in seeds[at : at + BATCH]])
        image = http.InferInput("image", list(pixels.shape), "UINT8")
        image.set_data_from_numpy(pixels)
        client.infer(model, [image], outputs=[http.InferRequestedOutput("score")])


def drift(line, model):
    with urllib.request.urlopen(f"http://{line.at['http']}/v2/models/{model}/stats") as answer:
        signals = json.load(answer)["model_stats"][0]["drift"]
    return {signal["signal"]: signal for signal in signals}


@pytest.mark.parametrize("change, signal", [("lamp", "brightness"), ("lens", "sharpness"), ("product", None)])
def test_a_change_alarms_within_two_windows(line, change, signal):
    seeds = range(20_000, 20_000 + REFERENCE + WINDOW)
    judge(line, change, seeds)
    before = drift(line, change)
    assert not any(state["alarms"] for state in before.values()), before
    looks = before["brightness"]
    assert looks["reference"] == REFERENCE and len(looks["statistics"]) == 1
    # The light of the training's images was not varied, so only the middle is compared.
    low, high = looks["in_training"]
    assert low - 0.02 < looks["reference_median"] < high + 0.02
    judge(line, change, range(30_000, 30_000 + 2 * WINDOW), change)
    after = drift(line, change)
    alarmed = {name for name, state in after.items() if state["alarms"]}
    assert alarmed and (signal is None or signal in alarmed), after
    with urllib.request.urlopen(f"http://{line.at['http']}/metrics") as answer:
        metrics = answer.read().decode()
    for name in alarmed:
        assert f'bgad_drift_alarms{{model="{change}",version="1",signal="{name}"' in metrics


def test_nothing_changes(line):
    judge(line, "same", range(40_000, 40_000 + REFERENCE + 3 * WINDOW))
    state = drift(line, "same")
    assert {"score", "brightness", "sharpness", "ng_share", "part_whole"} <= set(state)
    assert not any(signal["alarms"] for signal in state.values()), state
    assert len(state["brightness"]["statistics"]) == 3
