"""The attempts of a job on a line of time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from cnnctl.views.jobs import AttemptView, JobView

WIDTH = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """An attempt: when it held its GPUs, and from when on it trained, along the time of the whole job."""

    attempt: AttemptView
    start: float
    width: float
    trained: float
    """Where its first step lies."""


def list_restarts(job: JobView) -> Iterator[tuple[int, str]]:
    """From which steps attempts went on, and which."""
    for one in job.attempts[1:]:
        if one.start_step is not None:
            yield one.start_step, f"attempt {one.number}"


def draw_lanes(job: JobView) -> Sequence[Lane]:
    """A lane for each attempt; that of the last one ends with this minute where it has not ended."""
    if not job.attempts:
        return []
    now = datetime.now(timezone.utc).replace(second=0, microsecond=0) + timedelta(minutes=1)
    first = job.attempts[0].created_at
    last = max([first, *((one.ended_at or now) for one in job.attempts)])
    whole = max(1.0, (last - first).total_seconds())

    def place(moment: datetime) -> float:
        return WIDTH * min(1.0, max(0.0, (moment - first).total_seconds() / whole))

    return [
        Lane(
            attempt=one,
            start=place(one.created_at),
            width=max(2.0, place(one.ended_at or now) - place(one.created_at)),
            trained=place(one.started_at or one.ended_at or now),
        )
        for one in job.attempts
    ]
