"""What is asked about models and folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from bgad import _bgad


def info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a model file says about itself: options, thresholds (nats), calibration, how it was trained.

    Raises :exc:`bgad.ModelError` if the file cannot be read or is no model.
    """
    return _bgad.info(path)


def doctor(
    data: str | os.PathLike[str],
    *,
    quick: bool = False,
    input: int | str = 256,
    threads: int | None = None,
    progress: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """Examines a data folder: what is wrong with its images and masks, as ``bgad doctor --json`` says it.

    ``quick`` leaves out what needs the network: good images that look bad, masks beside their defect. ``input`` is the size at
    which images are compared, pixels (``256`` or ``"384x768"``, height x width). The result has ``good`` and ``defective``, the
    numbers of images, and ``findings``, each with ``severity``, ``check``, ``file``, ``problem`` and ``fix``.

    Raises :exc:`bgad.DataError` if there is nothing to examine.
    """
    return _bgad.doctor(data, quick, str(input), threads or 0, progress)
