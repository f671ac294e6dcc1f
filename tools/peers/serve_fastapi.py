#!/usr/bin/env python3
"""The usual way to serve an exported model: FastAPI, uvicorn and ONNX Runtime. A peer for tools/doors/serve_load.py.

usage: serve_fastapi.py MODEL.onnx [--threads N]

MODEL.onnx is of `bgad export --profile native`. `POST /inspect` takes an image file as its body and answers score and verdict. Pillow decodes and
resizes: its filter is not ours to the bit, but it is the fastest that is at hand. Prints its address.
"""

import argparse
import io
import json
import socket

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("model")
parser.add_argument("--threads", type=int, default=1)
asked = parser.parse_args()

settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = asked.threads
settings.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(asked.model, settings, providers=["CPUExecutionProvider"])
how = json.loads(session.get_modelmeta().custom_metadata_map["bgad.preprocess"])
app = FastAPI()


def judged(body):
    picture = Image.open(io.BytesIO(body)).convert("RGB")
    if picture.size != (how["width"], how["height"]):
        picture = picture.resize((how["width"], how["height"]), Image.LANCZOS)
    pixels = np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 255
    score, verdict = session.run(["score", "verdict"], {"input": pixels})
    return {"score": float(score[0]), "verdict": ["OK", "REVIEW", "NG"][int(verdict[0])]}


@app.post("/inspect")
async def inspect(request: Request):
    return await run_in_threadpool(judged, await request.body())


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", 0))
    host, port = listening.getsockname()
    print(f"http://{host}:{port}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listening])
