"""What an inspection gives."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

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
    """Anomaly of the image, nats: about 0 is as normal as training images get."""
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
    """The result record, as ``bgad inspect --format jsonl`` writes it, without the file and the time."""

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> Inspection:
        regions = tuple(Region(**region) for region in fields.pop("regions"))
        return cls(regions=regions, **fields)

    def _repr_html_(self) -> str:
        """The result as a notebook shows it."""
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
            f"score {self.score:.3f} nats{f' ({parts})' if parts else ''}, image of {self.height}x{self.width}</p>{table}</div>"
        )
