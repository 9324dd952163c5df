"""Cleans boxes around what was found: of those that overlap, the surest stays.

Shapes: N boxes; a box is top, left, bottom, right in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MOST_BOXES = 100

Boxes = npt.NDArray[np.floating]
Scores = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One object: where, of which class, and how sure."""

    top: float
    left: float
    bottom: float
    right: float
    class_name: str
    score: float


def overlap(box_4: Boxes, boxes_N4: Boxes) -> npt.NDArray[np.float64]:
    """Return intersection over union (N,) of one box with others; 0 where a box has no area."""
    ours, theirs = _in_order(box_4.astype(np.float64)[None]), _in_order(boxes_N4.astype(np.float64))
    height_width = np.minimum(ours[:, 2:], theirs[:, 2:]) - np.maximum(ours[:, :2], theirs[:, :2])
    intersection = np.prod(np.maximum(height_width, 0.0), axis=1)
    areas = [np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (ours, theirs)]
    union = areas[0] + areas[1] - intersection
    has_area = (areas[0] > 0) & (areas[1] > 0)
    return np.where(has_area, intersection / np.where(has_area, union, 1.0), 0.0)


def suppress_overlaps(
    boxes_N4: Boxes, scores_N: Scores, *, iou: float, most: int | None = None
) -> npt.NDArray[np.intp]:
    """Return the numbers of the boxes to keep, at most `most`, surest first; of equal scores the first box.

    Non-maximum suppression: keep the surest box, drop all that overlap it by more than `iou`, and again.
    """
    rest = np.argsort(-scores_N, kind="stable")
    kept: list[int] = []
    while len(rest) and len(kept) != most:
        best, rest = rest[0], rest[1:]
        kept.append(int(best))
        rest = rest[overlap(boxes_N4[best], boxes_N4[rest]) <= iou]
    return np.array(kept, dtype=np.intp)


def clean_boxes(
    boxes_N4: Boxes,
    scores_NK: Scores,
    *,
    class_names: Sequence[str],
    threshold: float,
    iou: float,
    across_classes: bool = False,
) -> list[Box]:
    """Keep what is at least as likely as `threshold`, and of boxes that overlap the surest.

    Returns the MOST_BOXES surest, surest first: without a bound, a photograph full of boxes takes minutes.
    Boxes of different classes may overlap, unless `across_classes`: a place may show two things.
    """
    numbers, labels = np.nonzero(scores_NK >= threshold)
    boxes, scores = boxes_N4[numbers], scores_NK[numbers, labels]
    kept: list[int] = []
    for label in [None] if across_classes else np.unique(labels):
        chosen = np.arange(len(labels)) if label is None else np.flatnonzero(labels == label)
        best = suppress_overlaps(boxes[chosen], scores[chosen], iou=iou, most=MOST_BOXES)
        kept += chosen[best].tolist()
    found = [_to_box(boxes[n], class_names[labels[n]], float(scores[n])) for n in kept]
    return sorted(found, key=lambda box: -box.score)[:MOST_BOXES]


def _to_box(box_4: Boxes, name: str, score: float) -> Box:
    top, left, bottom, right = (round(float(edge), 1) for edge in box_4)
    return Box(top=top, left=left, bottom=bottom, right=right, class_name=name, score=score)


def _in_order(boxes_N4: Boxes) -> Boxes:
    """Bring boxes whose corners were exchanged into the usual order."""
    first, second = boxes_N4[:, :2], boxes_N4[:, 2:]
    return np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=1)
