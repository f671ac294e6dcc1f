import os
from pathlib import Path

# Models are compared byte for byte, and each says when it was trained.
os.environ.setdefault("SOURCE_DATE_EPOCH", "1735689600")

import bgad
import pytest
import scene


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data` and the model `m.bgad` that the command line has trained on it."""
    folder = tmp_path_factory.mktemp("scene")
    scene.write_data(folder / "data")
    scene.run("train", "data", "-o", "m.bgad", *scene.flags(scene.SMALL), cwd=folder)
    return folder


@pytest.fixture(scope="session")
def model(folder: Path) -> Path:
    return folder / "m.bgad"


@pytest.fixture(scope="session")
def detector(model: Path) -> bgad.Detector:
    return bgad.Detector.load(model)
