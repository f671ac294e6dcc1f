"""What the documents show works as it stands there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import bgad
import bgad._estimator
import numpy as np
import pytest
import scene

ROOT = Path(__file__).parents[3]
DOCS = ["crates/bgad-python/README.md", "docs/python.md"]


def blocks(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


@pytest.mark.parametrize("document", DOCS)
def test_the_lines_of_a_document_work(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scene.write_data(tmp_path / "parts")
    scene.write_png(tmp_path / "photo.png", scene.picture(1001, (13, 36)))
    found = blocks(document)
    assert found
    # As documents are read: one block after the other. Small models, so that the test is short.
    train = bgad.train

    def small(*args, **options):
        return train(*args, **{**scene.SMALL, **options})

    monkeypatch.setattr(bgad, "train", small)
    monkeypatch.setattr(bgad._estimator, "train", small)
    names: dict = {"np": np}
    for block in found:
        exec(compile(block, document, "exec"), names)
    assert os.listdir(tmp_path).count("part.bgad") == 1


def test_everything_public_says_what_it_is():
    for name in bgad.__all__:
        public = getattr(bgad, name)
        assert name == "__version__" or (public.__doc__ and len(public.__doc__) > 20), name
