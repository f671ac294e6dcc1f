"""KServe's own client, unmodified."""

import asyncio

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig


def request(pictures):
    files = np.array([file for file, _ in pictures], dtype=object)
    tensor = InferInput("image", [len(files)], "BYTES")
    tensor.set_data_from_numpy(files, binary_data=True)
    return InferRequest("part", [tensor], request_id="k-1")


def check(response, pictures):
    outputs = {output.name: output for output in response.outputs}
    assert response.id == "k-1"
    scores = np.asarray(outputs["score"].as_numpy(), np.float32)
    assert scores.tobytes() == np.array([line["score"] for _, line in pictures], np.float32).tobytes()
    text = lambda value: value.decode() if isinstance(value, bytes) else value
    assert [text(v) for v in outputs["verdict"].as_numpy()] == [line["verdict"] for _, line in pictures]


def test_rest(server, pictures):
    async def all():
        client, url = InferenceRESTClient(RESTConfig(protocol="v2")), f"http://{server.at['http']}"
        assert await client.is_server_live(url) and await client.is_server_ready(url)
        assert await client.is_model_ready(url, "part")
        check(await client.infer(url, request(pictures), model_name="part"), pictures)

    asyncio.run(all())


def test_grpc(server, pictures):
    async def all():
        client = InferenceGRPCClient(server.at["grpc"])
        assert await client.is_server_live() and await client.is_server_ready()
        assert await client.is_model_ready("part")
        check(await client.infer(request(pictures)), pictures)

    asyncio.run(all())


def test_health_service_of_grpc(server):
    import grpc

    channel = grpc.insecure_channel(server.at["grpc"])
    call = channel.unary_unary("/grpc.health.v1.Health/Check", lambda message: message, lambda message: message)
    # The answer is field 1, SERVING = 1.
    assert call(b"", timeout=10) == b"\x08\x01"
