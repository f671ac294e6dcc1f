"""tritonclient over HTTP and gRPC, unmodified: answers equal `bgad inspect` in every bit."""

import io
import json

import numpy as np
import pytest
import tritonclient.grpc as grpc
import tritonclient.http as http
from PIL import Image
from tritonclient.utils import InferenceServerException


@pytest.fixture(params=[http, grpc], ids=["http", "grpc"])
def door(request, server):
    client = request.param.InferenceServerClient(server.at["http" if request.param is http else "grpc"])
    yield request.param, client
    client.close()


def image(module, array, datatype, binary=True):
    tensor = module.InferInput("image", list(array.shape), datatype)
    tensor.set_data_from_numpy(array, **({"binary_data": binary} if module is http else {}))
    return tensor


def asked(module, *names, binary=True):
    return [module.InferRequestedOutput(name, **({"binary_data": binary} if module is http else {})) for name in names]


def files(pictures):
    return np.array([file for file, _ in pictures], dtype=object)


def check(result, pictures):
    scores = result.as_numpy("score")
    assert scores.dtype == np.float32
    assert [s.tobytes() for s in scores] == [np.float32(line["score"]).tobytes() for _, line in pictures]
    text = lambda value: value.decode() if isinstance(value, bytes) else value
    assert [text(v) for v in result.as_numpy("verdict")] == [line["verdict"] for _, line in pictures]
    assert [json.loads(text(r)) for r in result.as_numpy("regions")] == [line["regions"] for _, line in pictures]


def test_health_and_metadata(door):
    module, client = door
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("part")
    assert client.is_model_ready("part", "1") and not client.is_model_ready("part", "9")
    assert not client.is_model_ready("nobody")
    as_json = {} if module is http else {"as_json": True}
    assert client.get_server_metadata(**as_json)["name"] == "bgad"
    about = client.get_model_metadata("part", **as_json)
    assert about["versions"] == ["1", "2"] and about["inputs"][0]["datatype"] == "BYTES"
    config = client.get_model_config("part", **as_json)
    assert (config if module is http else config["config"])["name"] == "part"
    index = client.get_model_repository_index(**as_json)
    index = index if module is http else index["models"]
    assert {(m["name"], m["version"], m["state"]) for m in index} == {
        ("part", "1", "READY"), ("part", "2", "READY"), ("other", "7", "READY")}


def test_files_with_binary_data(door, pictures):
    module, client = door
    for model, version, told in [("part", "", "2"), ("part", "1", "1"), ("other", "7", "7")]:
        result = client.infer(model, [image(module, files(pictures), "BYTES")], model_version=version, request_id="17",
                              outputs=asked(module, "score", "verdict", "regions"), parameters={"part_id": "p-1"})
        check(result, pictures)
        response = result.get_response(**({} if module is http else {"as_json": True}))
        assert (response["model_version"], response["id"]) == (told, "17")
        assert [o["name"] for o in response["outputs"]] == ["score", "verdict", "regions"]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed(door, pictures, algorithm):
    module, client = door
    how = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm} if module is http else {"compression_algorithm": algorithm}
    result = client.infer("part", [image(module, files(pictures), "BYTES")], **how)
    check(result, pictures)
    assert result.as_numpy("anomaly_map").shape == (len(pictures), 64, 64)


def test_json_outputs(server, pictures):
    client = http.InferenceServerClient(server.at["http"])
    outputs = asked(http, "score", "verdict", "regions", "pred_label", "anomaly_map", binary=False)
    result = client.infer("part", [image(http, files(pictures), "BYTES")], outputs=outputs)
    check(result, pictures)
    binary = client.infer("part", [image(http, files(pictures), "BYTES")])
    assert result.as_numpy("anomaly_map").tobytes() == binary.as_numpy("anomaly_map").tobytes()


def test_samples(door, pictures):
    module, client = door
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file, _ in pictures])
    check(client.infer("part", [image(module, pixels, "UINT8")]), pictures)
    one = client.infer("part", [image(module, pixels[:1].astype(np.uint16) * 257, "UINT16")])
    assert abs(one.as_numpy("score")[0] - np.float32(pictures[0][1]["score"])) < 0.05
    if module is http:
        check(client.infer("part", [image(module, pixels, "UINT8", binary=False)]), pictures)


def test_all_outputs(door, pictures):
    module, client = door
    result = client.infer("part", [image(module, files(pictures), "BYTES")])
    label, mask, nats = (result.as_numpy(name) for name in ("pred_label", "pred_mask", "anomaly_map"))
    assert [bool(x) for x in label] == [line["verdict"] != "OK" for _, line in pictures]
    assert nats.dtype == np.float32 and mask.dtype == bool and mask.shape == nats.shape
    assert [bool(m.any()) for m in mask] == [bool(line["regions"]) for _, line in pictures]
    assert (result.as_numpy("pred_score") == result.as_numpy("score")).all()


@pytest.mark.parametrize("model, version, array, datatype, word", [
    ("nobody", "", np.array([b"x"], dtype=object), "BYTES", "nobody"),
    ("part", "9", np.array([b"x"], dtype=object), "BYTES", "`9`"),
    ("part", "", np.array([b"no picture"], dtype=object), "BYTES", "image 0"),
    ("part", "", np.zeros((1, 4, 4, 2), np.uint8), "UINT8", "channels"),
    ("part", "", np.zeros((1, 4, 4, 3), np.float32), "FP32", "FP32"),
])
def test_refusals_are_understood(door, model, version, array, datatype, word):
    module, client = door
    with pytest.raises(InferenceServerException) as refused:
        client.infer(model, [image(module, array, datatype)], model_version=version)
    assert word in refused.value.message()


def test_large_messages(door):
    module, client = door
    large = np.full((1, 1500, 1500, 3), 90, np.uint8)
    assert client.infer("part", [image(module, large, "UINT8")]).as_numpy("score").shape == (1,)
    with pytest.raises(InferenceServerException):
        client.infer("part", [image(module, np.zeros((8, 3000, 3000, 3), np.uint8), "UINT8")])
    assert client.is_server_live()


def test_load_unload_and_statistics(door, pictures):
    module, client = door
    before = client.get_inference_statistics("other", **({} if module is http else {"as_json": True}))["model_stats"][0]
    client.infer("other", [image(module, files(pictures), "BYTES")])
    after = client.get_inference_statistics("other", **({} if module is http else {"as_json": True}))["model_stats"][0]
    assert int(after["inference_count"]) == int(before.get("inference_count", 0)) + len(pictures)
    client.unload_model("other")
    assert not client.is_model_ready("other")
    with pytest.raises(InferenceServerException):
        client.infer("other", [image(module, files(pictures), "BYTES")])
    client.load_model("other")
    assert client.is_model_ready("other")
    with pytest.raises(InferenceServerException):
        client.load_model("nobody")


def test_many_at_a_time(server, pictures):
    with http.InferenceServerClient(server.at["http"], concurrency=8) as client:
        waiting = [(client.async_infer("part", [image(http, files([one]), "BYTES")]), one) for one in 3 * pictures]
        for result, one in waiting:
            check(result.get_result(), [one])
