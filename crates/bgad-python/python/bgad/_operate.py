"""What a model is worth, what it promises, and what it learns on the line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgad import _bgad
from bgad._bgad import OptionError

_Path = str | os.PathLike[str]
_Progress = Callable[[dict[str, Any]], object]


@dataclass(frozen=True, slots=True)
class _Evaluating:
    model: str
    data: str
    split: str | None
    scoring: str
    threads: int


@dataclass(frozen=True, slots=True)
class _Calibrating:
    model: str
    output: str
    data: str | None
    good: list[str] | None
    bad: list[str] | None
    objective: str
    thresholds: tuple[float, float] | None
    confidence: float
    threads: int


@dataclass(frozen=True, slots=True)
class _Learning:
    model: str
    output: str
    data: str | None
    defects: list[tuple[str, str]]
    good: list[str]
    schedule: str | None
    learning_rate: float
    force: bool
    threads: int


def evaluate(
    model: _Path,
    data: _Path,
    *,
    split: _Path | None = None,
    scoring: str = "frozen",
    threads: int | None = None,
    progress: _Progress | None = None,
) -> dict[str, Any]:
    """The figures of a model on images with known answers, as ``bgad evaluate --json`` writes them: shares between 0 and 1,
    ``None`` where a class is missing.

    Tests on the test images of the folder ``data``, or of ``split``, a split file or a model that carries its split. Images that the
    model knows are recognised by their content and left out; ``known`` says how many. ``images`` has file, defect, score (nats) and
    verdict of each, ``skipped`` what could not be read.

    Raises :exc:`bgad.DataError` if there is nothing to test on.
    """
    request = _Evaluating(os.fspath(model), os.fspath(data), _text(split), scoring, threads or 0)
    return _bgad.evaluate(request, progress)


def calibrate(
    model: _Path,
    *,
    max_false_alarms: float | None = None,
    min_recall: float | None = None,
    cost: tuple[float, float, float] | None = None,
    thresholds: tuple[float, float] | None = None,
    good: Iterable[_Path] | None = None,
    bad: Iterable[_Path] | None = None,
    data: _Path | None = None,
    output: _Path | None = None,
    confidence: float = 0.95,
    threads: int | None = None,
    progress: _Progress | None = None,
) -> dict[str, Any]:
    """Sets the thresholds of a model, with a promise, and writes it to ``output``, or over itself.

    Ask for one of: ``max_false_alarms``, the largest share of good parts that are NG; ``min_recall``, the least share of defective
    parts that are not OK; ``cost``, of an escape, of a good part thrown away, and the share of defective parts; ``thresholds``, where OK
    ends and NG begins, nats. ``good`` and ``bad`` are image files that the model was not trained on; without them those that the
    training held out (``hold_out``) or kept for the test are used, and ``data`` says where their folder is now.

    Returns what the model promises and what it rests on, as the model file says it. Raises :exc:`bgad.CalibrateError` if the images
    cannot prove what is asked; nothing is then written.
    """
    asked: dict[str, Any] = {
        "max_false_alarms": max_false_alarms,
        "min_recall": min_recall,
        "cost": cost and dict(zip(("escape", "overkill", "defect_rate"), cost, strict=True)),
        "by_hand": thresholds,
    }
    given = [name for name, value in asked.items() if value is not None]
    if len(given) != 1:
        raise OptionError(f"expected one of max_false_alarms, min_recall, cost and thresholds, found {len(given)}")
    objective = "by_hand" if thresholds is not None else {given[0]: asked[given[0]]}
    request = _Calibrating(
        model=os.fspath(model),
        output=os.fspath(output or model),
        data=_text(data),
        good=None if good is None else [os.fspath(path) for path in good],
        bad=None if bad is None else [os.fspath(path) for path in bad],
        objective=json.dumps(objective),
        thresholds=thresholds,
        confidence=confidence,
        threads=threads or 0,
    )
    return _bgad.calibrate(request, progress)


@dataclass(frozen=True, slots=True)
class Learned:
    """What :func:`learn` did."""

    model: Path
    """The model file."""
    learned: tuple[Path, ...]
    """Images that the model has learned from now."""
    already: tuple[Path, ...]
    """Images that it had learned from before."""
    before: dict[str, Any] | None
    """``threshold`` (nats), ``escapes``, ``false_alarms`` and ``figures`` on images kept apart; ``None`` if nothing was new."""
    after: dict[str, Any] | None
    """The same of the new model."""


def learn(
    model: _Path,
    *,
    defects: Iterable[tuple[_Path, _Path]] = (),
    good: Iterable[_Path] = (),
    data: _Path | None = None,
    output: _Path | None = None,
    schedule: str | None = "3x1",
    learning_rate: float = 3e-4,
    force: bool = False,
    threads: int | None = None,
    progress: _Progress | None = None,
) -> Learned:
    """Teaches a model what the line has found: ``defects``, images each with its mask, and ``good`` images.

    The model is written to ``output``, or over itself, only if no more defects escape on the images kept apart than before;
    ``force`` writes it all the same. With ``schedule=None`` it takes seconds: the flows stay as they are, the linear head and the
    scales of the score are fitted anew. ``data`` says where the folder of the training is now.

    Raises :exc:`bgad.LearningError` if nothing was learned; the model is then as it was.
    """
    request = _Learning(
        model=os.fspath(model),
        output=os.fspath(output or model),
        data=_text(data),
        defects=[(os.fspath(image), os.fspath(mask)) for image, mask in defects],
        good=[os.fspath(path) for path in good],
        schedule=schedule,
        learning_rate=learning_rate,
        force=force,
        threads=threads or 0,
    )
    done = _bgad.learn(request, progress)
    return Learned(
        model=Path(done["model"]),
        learned=tuple(map(Path, done["learned"])),
        already=tuple(map(Path, done["already"])),
        before=done["before"],
        after=done["after"],
    )


def _text(path: _Path | None) -> str | None:
    return None if path is None else os.fspath(path)
