"""A trained model that inspects images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from bgad import _bgad
from bgad._bgad import ImageError, ModelChangedError
from bgad._results import Inspection

Image = str | os.PathLike[str] | bytes | bytearray | memoryview | npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""A path, the bytes of an image file, or samples of shape [height, width] or [height, width, 3 or 4]."""


class Detector:
    """A trained model, ready to inspect. Made by :meth:`load` or :meth:`from_bytes`; any number of threads may use it at a time.

    It can be pickled. One that was loaded from a file pickles as the file's path and SHA-256, and unpickling it refuses a file
    that has changed; one that was made of bytes carries them.
    """

    __slots__ = ("_bytes", "_native", "_path")

    _native: _bgad.Detector
    _path: Path | None
    _bytes: bytes | None

    def __init__(self) -> None:
        raise TypeError("use bgad.Detector.load(path) or bgad.Detector.from_bytes(data)")

    @classmethod
    def _new(cls, native: _bgad.Detector, path: Path | None, data: bytes | None) -> Detector:
        detector = cls.__new__(cls)
        detector._native, detector._path, detector._bytes = native, path, data
        return detector

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, threads: int | None = None) -> Detector:
        """Reads a model file written by :func:`bgad.train` or ``bgad train``.

        ``threads`` is how many threads one call uses; ``None`` shares one for each core among all calls. With ``threads=1``
        calls from several Python threads run side by side, each on one core. Results do not depend on it.

        Raises :exc:`bgad.ModelError` if the file cannot be read or is no model.
        """
        absolute = Path(path).absolute()
        return cls._new(_bgad.Detector.open(absolute, _number(threads)), absolute, None)

    @classmethod
    def from_bytes(cls, data: bytes, *, threads: int | None = None) -> Detector:
        """Reads a model that is in memory; otherwise as :meth:`load`."""
        return cls._new(_bgad.Detector.from_bytes(data, _number(threads)), None, bytes(data))

    def inspect(self, image: Image) -> Inspection:
        """Inspects one image: a path, the bytes of an image file, or an array.

        Arrays are of ``uint8`` (255 is white) or ``uint16`` (65535 is white), of shape [height, width] or
        [height, width, 3] in the order red, green, blue; a fourth channel is ignored. Any strides will do.
        The same pixels give the same bits, whichever way they come in.

        Raises :exc:`bgad.ImageError` if the image cannot be used, ``TypeError`` for anything that is no image.
        """
        return Inspection._of(self._native.inspect(image), self._native, image)

    @overload
    def inspect_batch(
        self, images: Iterable[Image], *, errors: Literal["raise"] = "raise", batch: int = 16
    ) -> Iterator[Inspection]: ...
    @overload
    def inspect_batch(
        self, images: Iterable[Image], *, errors: Literal["return"], batch: int = 16
    ) -> Iterator[Inspection | ImageError]: ...
    def inspect_batch(
        self, images: Iterable[Image], *, errors: Literal["raise", "return"] = "raise", batch: int = 16
    ) -> Iterator[Inspection | ImageError]:
        """Yields the inspection of each image, in order. Works on ``batch`` images at a time, side by side; never holds more.

        With ``errors="return"`` an image that cannot be used yields its :exc:`bgad.ImageError` instead of raising it.
        """
        if errors not in ("raise", "return"):
            raise ValueError(f'expected errors as "raise" or "return", found {errors!r}')
        if batch < 1:
            raise ValueError(f"expected a batch of at least 1 image, found {batch}")
        return self._inspect_batch(iter(images), errors == "return", batch)

    def _inspect_batch(self, images: Iterator[Image], keep: bool, batch: int) -> Iterator[Inspection | ImageError]:
        while share := list(islice(images, batch)):
            for image, found in zip(share, self._native.inspect_many(share), strict=True):
                if not isinstance(found, BaseException):
                    yield Inspection._of(found, self._native, image)
                elif keep and isinstance(found, ImageError):
                    yield found
                else:
                    raise found

    @property
    def path(self) -> Path | None:
        """The model file, absolute; ``None`` if the model came from memory."""
        return self._path

    @property
    def sha256(self) -> str:
        """SHA-256 of the model file, hexadecimal."""
        return self._native.sha256

    @property
    def threads(self) -> int | None:
        """Threads that one call uses; ``None`` for all cores."""
        return self._native.threads

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width that images are brought to, pixels."""
        return self._native.input_size

    @property
    def thresholds(self) -> tuple[float, float]:
        """Scores up to the first are OK, above the second NG, between them REVIEW; nats."""
        return self._native.thresholds

    @property
    def header(self) -> dict[str, Any]:
        """What the model file says about itself, as :func:`bgad.info` gives it."""
        return self._native.header()

    def __repr__(self) -> str:
        origin = "from memory" if self._path is None else str(self._path)
        return f"<bgad.Detector {origin} {self.sha256[:12]}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._path is None:
            return _from_bytes, (self._bytes, self.threads)
        return _from_path, (os.fspath(self._path), self.sha256, self.threads)


def _from_bytes(data: bytes, threads: int | None) -> Detector:
    return Detector.from_bytes(data, threads=threads)


def _from_path(path: str, sha256: str, threads: int | None) -> Detector:
    detector = Detector.load(path, threads=threads)
    if detector.sha256 != sha256:
        raise ModelChangedError(
            f"{path}: expected the model with SHA-256 {sha256} that was pickled, found {detector.sha256}: "
            "put the file back, or load the new one and pickle that"
        )
    return detector


def _number(threads: int | None) -> int | None:
    if threads is not None and not 1 <= threads <= 1024:
        raise ValueError(f"expected 1 to 1024 threads, found {threads}")
    return threads
