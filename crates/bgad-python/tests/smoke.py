"""The wheel in a fresh environment: train, inspect, compare with the command line."""

import sys
import tempfile
from pathlib import Path

import bgad
import numpy as np
import scene

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    scene.write_data(folder / "data")
    trained = bgad.train(folder / "data", folder / "m.bgad", **scene.SMALL)
    image = folder / "data/bad/spot/003.png"
    found = bgad.Detector.load(trained.model).inspect(image)
    (said,) = scene.inspected(trained.model, image)
    assert np.float32(found.score) == np.float32(said["score"]), (found.score, said)
    print(f"Python {sys.version.split()[0]}, numpy {np.__version__}: {found.verdict}, {found.score:.3f} nats, as the command line")
