"""Compares what was measured with the baselines, and keeps pictures for people."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

HERE = Path(__file__).parent
PICTURES, BASELINES = HERE / "pictures", HERE / "baselines"
MEASURE = (HERE / "measure.js").read_text()
COLOURS = 128
PIXELS, SHARE = 8, 0.05  # What fonts of another machine may change.

Boxes = dict[str, list[int]]


def differences(boxes: Boxes, baseline: Boxes) -> list[str]:
    """What is elsewhere, of another size, more or less than in the baseline."""
    missing = [f"{name} is missing" for name in baseline.keys() - boxes.keys()]
    added = [f"{name} is new" for name in boxes.keys() - baseline.keys()]
    moved = [
        f"{name} is at {boxes[name]}, was at {baseline[name]}"
        for name in sorted(baseline.keys() & boxes.keys())
        if not all(map(_near, boxes[name], baseline[name]))
    ]
    return sorted(missing) + sorted(added) + moved


def _near(now: int, before: int) -> bool:
    return abs(now - before) <= max(PIXELS, SHARE * abs(before))


def read_baseline(scene: str) -> Boxes:
    """The boxes of a scene as they were approved."""
    read: Boxes = json.loads((BASELINES / f"{scene}.json").read_text())
    return read


def write_baseline(scene: str, boxes: Boxes) -> None:
    """Approve the boxes of a scene."""
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(box)}" for name, box in boxes.items())
    (BASELINES / f"{scene}.json").write_text(f"{{\n{lines}\n}}\n")


def save(png: bytes, file: Path) -> None:
    """Save a picture with few colours, which is a third of its size."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, optimize=True)


def problems_of(measured: dict[str, Any]) -> list[str]:
    """What is wrong whatever the baseline says."""
    tall = [height for height in measured["heights"] if not 40 <= height <= 150]
    return [*measured["problems"], *(f"a row is {height} px high" for height in tall)]
