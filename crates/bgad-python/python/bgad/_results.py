"""What an inspection gives."""

from __future__ import annotations

import base64
import html
import os
import weakref
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bgad import _bgad

Verdict = Literal["OK", "REVIEW", "NG"]

_COLOURS = {"OK": "#2e7d32", "REVIEW": "#b26a00", "NG": "#b71c1c"}


@dataclass(frozen=True, slots=True)
class Region:
    """A connected part of the anomaly map above the threshold. Lengths are in pixels of the image as it was given."""

    x: int
    """Left edge."""
    y: int
    """Top edge."""
    width: int
    height: int
    area_share: float
    """Share of the image that it covers, 0 to 1."""
    area: float
    """Area, square pixels."""
    centroid_x: float
    centroid_y: float
    peak: float
    """Largest value of the map within it, nats."""
    mean: float
    """Mean value of the map within it, nats."""


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What was found in an image."""

    score: float
    """Anomaly of the image, nats: the higher, the rarer among good images."""
    verdict: Verdict
    """``"OK"``, ``"REVIEW"`` (a person should look) or ``"NG"``."""
    regions: tuple[Region, ...]
    """Where the defects are, the highest peak first; empty if the verdict is OK."""
    anomaly_map: npt.NDArray[np.float32] = field(repr=False)
    """Anomaly per pixel, nats, shape [height, width] of the model's input. Read-only; the library's own memory, not a copy."""
    parts: dict[str, float]
    """What the score is made of besides the peak of the map, nats by name."""
    height: int
    """Rows of the image as it was given, upright."""
    width: int
    """Columns of the image as it was given, upright."""
    record: dict[str, Any] = field(repr=False)
    """The result record, as ``bgad inspect --format jsonl`` writes it."""

    _detector: _bgad.Detector | None = field(default=None, repr=False)
    _image: Any = field(default=None, repr=False)

    @classmethod
    def _of(cls, fields: dict[str, Any], detector: _bgad.Detector, image: object) -> Inspection:
        regions = tuple(Region(**region) for region in fields.pop("regions"))
        if isinstance(image, np.ndarray):
            # A result must not keep alive the pixels of a camera.
            image = weakref.ref(image)
        elif not isinstance(image, (str, os.PathLike, bytes)):
            image = None
        return cls(regions=regions, _detector=detector, _image=image, **fields)

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the image: whoever unpickles it may be on another machine.
        shown = (self.score, self.verdict, self.regions, self.anomaly_map, self.parts, self.height, self.width, self.record)
        return _unpickled, shown

    def overlay(
        self,
        image: object = None,
        *,
        style: Literal["overlay", "side-by-side", "heat"] = "overlay",
        footer: bool = True,
    ) -> npt.NDArray[np.uint8]:
        """The picture that ``bgad inspect --out`` writes: the image with what was found, ``uint8`` of shape [height, width, 3].

        The image is read again: from its file or bytes, or from the array that was inspected as long as that lives; otherwise give it
        as ``image``. With ``footer`` verdict, score and colour scale stand beneath it.

        Raises :exc:`bgad.ImageError` if the image is no longer the one that was inspected, ``ValueError`` if there is none.
        """
        detector, image = self._drawn_from(image)
        return detector.overlay(image, self.score, style, footer)

    def _drawn_from(self, image: object) -> tuple[_bgad.Detector, object]:
        if image is None:
            image = self._image() if isinstance(self._image, weakref.ref) else self._image
        if self._detector is None:
            raise ValueError("expected the result of an inspection in this process, found one that was unpickled: inspect the image again")
        if image is None:
            raise ValueError("the image of this result is not in memory any more: give it as image=")
        return self._detector, image

    def _picture(self) -> str:
        try:
            detector, image = self._drawn_from(None)
            data = base64.b64encode(detector.thumbnail(image, self.score)).decode()
        except (_bgad.BgadError, ValueError) as error:
            return f"<p>no picture: {html.escape(str(error))}</p>"
        return f'<img alt="{self.verdict}" src="data:image/jpeg;base64,{data}">'

    def _repr_html_(self) -> str:
        """The result as a notebook shows it, with its picture."""
        colour = _COLOURS[self.verdict]
        rows = "".join(
            f"<tr><td>{r.x}</td><td>{r.y}</td><td>{r.width}</td><td>{r.height}</td><td>{r.peak:.2f}</td></tr>"
            for r in self.regions[:10]
        )
        more = f"<p>and {len(self.regions) - 10} more</p>" if len(self.regions) > 10 else ""
        table = (
            "<table><thead><tr><th>x</th><th>y</th><th>width</th><th>height</th><th>peak, nats</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>{more}"
            if rows
            else ""
        )
        parts = ", ".join(f"{html.escape(name)} {nats:+.2f}" for name, nats in self.parts.items())
        return (
            f'<div><p><strong style="color:{colour}">{self.verdict}</strong> '
            f"score {self.score:.3f} nats{f' ({parts})' if parts else ''}, image of {self.height}x{self.width}</p>"
            f"{self._picture()}{table}</div>"
        )


def _unpickled(*shown: Any) -> Inspection:
    found = Inspection(*shown)
    found.anomaly_map.flags.writeable = False
    return found
