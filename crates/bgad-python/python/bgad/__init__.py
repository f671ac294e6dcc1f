"""Find visual defects on an ordinary CPU: learn from good images and a few bad ones.

>>> import bgad
>>> bgad.train("parts/", "part.bgad")                   # doctest: +SKIP
>>> detector = bgad.Detector.load("part.bgad")          # doctest: +SKIP
>>> found = detector.inspect("photo.png")               # doctest: +SKIP
>>> found.verdict, found.score                          # doctest: +SKIP
('NG', 23.4)

Scores are in nats: the higher, the rarer among good images. The command line ``bgad`` and this package are two doors of one
library: the same image and model give the same bits.
"""

from bgad._bgad import (
    BgadError,
    CalibrateError,
    DataError,
    ImageError,
    LearningError,
    ModelChangedError,
    ModelError,
    OptionError,
    TrainError,
    __version__,
)
from bgad._data import doctor, info
from bgad._detector import Detector
from bgad._estimator import BGAD
from bgad._operate import Learned, calibrate, evaluate, learn
from bgad._results import Inspection, Region
from bgad._train import Sample, Trained, train

__all__ = [
    "BGAD",
    "BgadError",
    "CalibrateError",
    "DataError",
    "Detector",
    "ImageError",
    "Inspection",
    "Learned",
    "LearningError",
    "ModelChangedError",
    "ModelError",
    "OptionError",
    "Region",
    "Sample",
    "TrainError",
    "Trained",
    "__version__",
    "calibrate",
    "doctor",
    "evaluate",
    "info",
    "learn",
    "train",
]
