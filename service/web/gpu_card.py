"""A GPU as a card: who holds it, how full it is, and its last hours as a small curve."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cnnctl.views.fleet import GpuHistoryView, GpuView
from service.commands.fleet.shown_state import ShownState, name_state

WIDTH, HEIGHT = 100.0, 24.0  # of the small curve, in its own units
PERCENT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCard:
    """What a card shows."""

    gpu: GpuView
    state: ShownState
    since: datetime | None
    filled: float
    """How much of the memory is in use, in percent."""
    lines: Sequence[str]
    """The parts of the small curve between gaps, as points of an SVG."""


def make_card(gpu: GpuView, history: GpuHistoryView | None = None) -> GpuCard:
    """The card of a GPU; without a history it has no curve."""
    used = gpu.memory_used_mib or 0
    return GpuCard(
        gpu=gpu,
        state=name_state(gpu),
        since=gpu.since or (_find_last_end(history) if history else None),
        filled=min(PERCENT, PERCENT * used / gpu.memory_mib) if gpu.memory_mib else 0.0,
        lines=[] if history is None else draw_line(history.utilization),
    )


def _find_last_end(history: GpuHistoryView) -> datetime | None:
    ends = [holder.until for holder in history.holders if holder.until is not None]
    return max(ends, default=None)


def draw_line(buckets: Sequence[tuple[float, float] | None], *, most: float = PERCENT) -> Sequence[str]:
    """The greatest value of each bucket as points; a bucket without a reading is a gap."""
    lines: list[list[str]] = [[]]
    for number, bucket in enumerate(buckets):
        if bucket is None:
            lines.append([])
            continue
        x = WIDTH * number / max(1, len(buckets) - 1)
        y = HEIGHT * (1 - min(bucket[1], most) / most) if most else HEIGHT
        lines[-1].append(f"{x:.0f},{y:.0f}")
    return [" ".join(points) for points in lines if points]


def name_models(gpus: Sequence[GpuView]) -> Sequence[str]:
    """How many there are of each model, as in `8 × H200`."""
    counts = Counter(gpu.model.removeprefix("NVIDIA ") for gpu in gpus)
    return [f"{count} × {model}" for model, count in counts.items()]
