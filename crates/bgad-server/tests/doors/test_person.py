"""The door for people, with curl: a record or the picture of the result, by what is accepted."""

import io
import json
import subprocess

import numpy as np
from conftest import BGAD
from PIL import Image

# Of the footer, the last line says which file, model and second: it differs between two calls.
CAPTION = 40


def curl(server, path, *more):
    """Status, head and body of a call of the first model of the server."""
    told = subprocess.run(["curl", "--silent", "--include", "--show-error", *more, f"http://{server.at['http']}{path}"],
                          capture_output=True, check=True)
    head, _, body = told.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:]), body


def test_record(server, scene, pictures):
    path = scene / "data/bad/spot/000.png"
    line = next(line for file, line in pictures if file == path.read_bytes())
    for how in (["--data-binary", f"@{path}"], ["--form", f"image=@{path}"]):
        status, head, body = curl(server, "/inspect?model=part&part_id=4711", *how)
        record = json.loads(body)
        assert (status, head["content-type"], record["part_id"]) == (200, "application/json", "4711")
        assert (np.float32(record["score"]), record["verdict"]) == (np.float32(line["score"]), line["verdict"])


def test_picture_is_that_of_inspect(server, scene, pictures):
    written = scene / "overlays"
    files = sorted((scene / "data/bad/spot").iterdir())[:2] + [scene / "data/good/000.png"]
    subprocess.run([BGAD, "inspect", "m.bgad", *map(str, files), "--out", written], cwd=scene, capture_output=True)
    of_inspect = {path.name.split(".")[0] + path.parent.name: path for path in written.rglob("*.png")}
    assert len(of_inspect) == len(files)
    for path in files:
        line = next(line for file, line in pictures if file == path.read_bytes())
        status, head, body = curl(server, "/inspect?model=part", "--header", "Accept: image/png", "--data-binary", f"@{path}")
        assert (status, head["content-type"], head["bgad-verdict"]) == (200, "image/png", line["verdict"].lower())
        assert np.float32(head["bgad-score"]) == np.float32(line["score"])
        assert head["bgad-model-sha256"] == line["model"]["sha256"]
        told, theirs = (np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
                        for picture in (body, of_inspect[path.stem + path.parent.name].read_bytes()))
        assert told.shape == theirs.shape
        differs = np.flatnonzero((told != theirs).any(axis=(1, 2)))
        assert (differs >= len(told) - CAPTION).all(), f"rows {differs} of {len(told)}"
    assert curl(server, "/inspect?model=part", "--header", "Accept: text/html", "--data-binary", "x")[0] == 406
