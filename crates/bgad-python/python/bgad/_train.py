"""Training a model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bgad import _bgad
from bgad._detector import Image


@dataclass(frozen=True, slots=True)
class Sample:
    """An image to learn from, in any form that :meth:`bgad.Detector.inspect` takes. ``defect`` is ``None`` for a good part, or the name of
    the type of defect; ``mask`` is an image of the same size that is not zero where the defect is, as a file or an array."""

    image: Image
    defect: str | None = None
    mask: Image | npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training gave."""

    model: Path
    """The model file."""
    split: Path
    """The file beside it that says which image was used for what."""
    good: int
    """Good images learned from."""
    defective: int
    """Known defects learned from."""
    skipped: tuple[str, ...]
    """Images that could not be used, and why."""
    thresholds: tuple[float, float]
    """Scores up to the first are OK, above the second NG; nats."""


@dataclass(frozen=True, slots=True)
class _Choices:
    choice: str
    recipe: str
    masks: str
    threads: int
    cache_limit: int | None
    resume: bool
    force: bool


def train(
    data: str | os.PathLike[str] | Iterable[Sample],
    output: str | os.PathLike[str],
    *,
    progress: Callable[[dict[str, Any]], object] | None = None,
    anomalies: int | None = None,
    setting: str = "general",
    weak: bool = False,
    seed: int = 0,
    limit_normal: int | None = None,
    hold_out: float | None = None,
    split: str | os.PathLike[str] | None = None,
    foreground: str | os.PathLike[str] = "estimate",
    textures: str | os.PathLike[str] | None = None,
    roi: str | os.PathLike[str] | None = None,
    ignore: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    cache_limit: int | None = None,
    resume: bool = False,
    force: bool = False,
    **recipe: Any,
) -> Trained:
    """Learns a model from a folder of images and writes it to ``output``.

    ``data`` is a folder laid out as for ``bgad train``, or samples: then all good ones are learned from, but for the share ``hold_out``,
    and all others are shown as known defects. The same data, options and seed give the same model, bit for bit, as the command line.

    Samples are drawn one by one. Training reads its images several times, and :func:`learn` reads them again later, so those that are in
    memory are written, without loss, into the folder ``OUTPUT`` with ``.images`` for its extension. They may be removed once nothing
    more is to be learned.

    ``progress`` is called with a dict for each event: ``{"event": "encoded", "done": .., "total": ..}``, ``"pass"`` with ``pass``,
    ``passes``, ``phase``, ``loss`` by level, ``images_left`` and ``seconds``; ``"checkpoint"``, ``"skipped"``, ``"note"``,
    ``"resumed"``. An exception that it raises ends the training. Ctrl-C does, too; the checkpoint is kept, and the same call with
    ``resume=True`` goes on from there.

    The other keywords are the options of ``bgad train`` with ``_`` for ``-``; ``cache_limit`` is in bytes. ``recipe`` takes those
    of the method, among them ``preset``, ``input`` (``256`` or ``"384x768"``), ``keep_aspect``, ``tiles``, ``schedule``
    (``"5x3"``), ``backbone``, ``backbone_weights``, ``blocks``, ``learning_rate``, ``pseudo`` and ``score_parts``.

    Raises :exc:`bgad.DataError`, :exc:`bgad.OptionError` or :exc:`bgad.TrainError`, each with what the command line would say.
    """
    choice: dict[str, object] = {
        "anomalies": anomalies,
        "setting": setting,
        "weak": weak,
        "seed": seed,
        "limit_normal": limit_normal,
        "hold_out": hold_out,
        "split": _text(split),
    }
    given: Any = data
    if not isinstance(data, (str, os.PathLike)):
        _refuse_choice_of_samples(choice)
        given = ((sample.image, _mask(sample.mask), sample.defect) for sample in data)
    masks = {"foreground": os.fspath(foreground), "textures": _text(textures), "roi": _text(roi), "ignore": _text(ignore)}
    choices = _Choices(
        choice=json.dumps(choice),
        recipe=json.dumps({name: _option(name, value) for name, value in recipe.items()}),
        masks=json.dumps(masks),
        threads=threads or 0,
        cache_limit=cache_limit,
        resume=resume,
        force=force,
    )
    done = _bgad.train(given, output, choices, progress)
    thresholds = done["thresholds"]
    return Trained(
        model=Path(done["model"]),
        split=Path(done["split"]),
        good=done["good"],
        defective=done["defective"],
        skipped=tuple(done["skipped"]),
        thresholds=(thresholds["ok"], thresholds["ng"]),
    )


def _mask(mask: object) -> object:
    if isinstance(mask, np.ndarray) and mask.dtype == np.bool_:
        return mask.astype(np.uint8) * np.uint8(255)
    return mask


def _text(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


def _option(name: str, value: object) -> object:
    """An option as the library reads it: sizes may be numbers, paths any kind of path."""
    if name == "input" and isinstance(value, int):
        return str(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _refuse_choice_of_samples(choice: dict[str, object]) -> None:
    """Samples say themselves what is learned from."""
    for name in ("anomalies", "limit_normal", "split"):
        if choice[name] is not None:
            raise _bgad.OptionError(f"{name} is for a folder: of samples all are used")
