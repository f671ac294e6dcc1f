"""The detector under the names of PyOD and scikit-learn."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bgad._detector import Detector, Image
from bgad._train import Sample, train

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


class BGAD:
    """An anomaly detector of images with PyOD's names.

    ``fit``, ``decision_function`` and ``predict`` take whatever :meth:`bgad.Detector.inspect` takes. Labels are 0 for good and 1 for
    anomalous. There is no ``predict_proba``: a score that is only rescaled is no probability.

    ``output`` is where the model file goes; without it the model is kept in memory alone. Other keywords are those of
    :func:`bgad.train`.
    """

    def __init__(self, output: str | os.PathLike[str] | None = None, **options: Any) -> None:
        self.output = output
        self.options = options

    def fit(self, X: Iterable[Image], y: Sequence[int] | None = None) -> BGAD:
        """Learns from the images ``X``. ``y`` says which are defective (1) and which good (0); without it all are good.

        Defective images have no masks here: where the defect is, the model finds as it learns (``weak=True``). With masks, use
        :func:`bgad.train` and :class:`bgad.Sample`.
        """
        images = list(X)
        labels = [0] * len(images) if y is None else list(y)
        if len(labels) != len(images):
            raise ValueError(f"expected a label for each of the {len(images)} images, found {len(labels)}")
        samples = [Sample(image, "defect" if label else None) for image, label in zip(images, labels, strict=True)]
        options = {"weak": any(labels), **self.options}
        if self.output is not None:
            self.detector_ = Detector.load(train(samples, self.output, **options).model)
        else:
            with tempfile.TemporaryDirectory() as folder:
                trained = train(samples, Path(folder) / "model.bgad", **options)
                self.detector_ = Detector.from_bytes(trained.model.read_bytes())
        self.threshold_ = self.detector_.thresholds[0]
        self.decision_scores_ = self.decision_function(images)
        self.labels_ = self._labels(self.decision_scores_)
        return self

    def decision_function(self, X: Iterable[Image]) -> Scores:
        """The score of each image, nats, shape [n]; the higher, the more anomalous."""
        return np.array([found.score for found in self._fitted().inspect_batch(X)], dtype=np.float64)

    def predict(self, X: Iterable[Image]) -> Labels:
        """1 for each image that is not OK, 0 for the others, shape [n]."""
        return self._labels(self.decision_function(X))

    def fit_predict(self, X: Iterable[Image], y: Sequence[int] | None = None) -> Labels:
        """:meth:`fit`, and the labels of the images learned from."""
        return self.fit(X, y).labels_

    def _labels(self, scores: Scores) -> Labels:
        # As the verdict does it: a score that is not a number is not passed.
        return (~(scores <= self.threshold_)).astype(np.int64)

    def _fitted(self) -> Detector:
        detector: Detector | None = getattr(self, "detector_", None)
        if detector is None:
            raise ValueError("this estimator has not learned yet: call fit first")
        return detector

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments that it was made with."""
        return {"output": self.output, **self.options}

    def set_params(self, **params: Any) -> BGAD:
        """Replaces arguments; takes effect at the next :meth:`fit`."""
        if "output" in params:
            self.output = params.pop("output")
        self.options.update(params)
        return self
