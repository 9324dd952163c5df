"""The page of hosts and their GPUs: how each is, who held it over some hours, and how busy it was."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from starlette.datastructures import QueryParams

from cnnctl.views.fleet import GpuHistoryView, GpuView, HostView
from service.commands.fleet.shown_state import ShownState, name_state
from service.errors import SpecError
from service.web.address import check_query
from service.web.bands import Band, Hold, draw_band, place_holds
from service.web.gpu_card import name_models
from service.web.parts import Page, Part, Visit, about_subjects

WINDOWS: Mapping[str, str] = {"1": "1 h", "6": "6 h", "24": "24 h", "168": "7 d", "720": "30 d"}
DAY = "24"
POINTS = 120  # buckets of a curve
PERCENT = 100.0
SECONDS = {"1": 5.0, "6": 10.0, DAY: 15.0}  # after which a window is looked at anew
LONG_SECONDS = 60.0  # of longer ones, which read more and move less


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """The page; its address says how far back the curves go."""
    check_query(query, ("hours",))
    hours = read_hours(query.get("hours", DAY))
    may_change = visit.me.administrator

    def look(visit: Visit) -> Sequence[HostBox]:
        return list_boxes(visit, hours=hours, may_change=may_change)

    return Page(
        title="GPUs",
        template="gpus",
        section="GPUs",
        command=f"cnnctl gpus; cnnctl gpus history --hours {hours}; cnnctl hosts",
        parts=[
            Part(name="line", look=get_line),
            Part(
                name="hosts",
                look=look,
                about=(hours, may_change),
                seconds=SECONDS.get(hours, LONG_SECONDS),
                concerns=about_subjects("gpu", "host"),
            ),
        ],
        values={"hours": hours, "windows": WINDOWS},
    )


def read_hours(text: str) -> str:
    """How far back, in hours.

    Raises:
        SpecError: it is no window of this page.
    """
    if text not in WINDOWS:
        raise SpecError(f"hours must be one of {', '.join(WINDOWS)}. Received: {text[:40]!r}")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The whole room in a line."""

    hosts: int
    gpus: int
    states: Mapping[ShownState, int]
    why: str
    """The reason, where a single GPU is quarantined."""


def get_line(visit: Visit) -> Line:
    """How many hosts and GPUs there are, and how they are."""
    gpus = visit.list_gpus()
    counts = Counter(name_state(gpu) for gpu in gpus)
    reasons = [gpu.reason for gpu in gpus if name_state(gpu) == "quarantined"]
    return Line(
        hosts=len({gpu.host for gpu in gpus} | {host.host for host in visit.client.list_hosts()}),
        gpus=len(gpus),
        states={state: counts[state] for state in get_args(ShownState) if counts[state]},
        why=reasons[0] if len(reasons) == 1 else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRow:
    """A GPU with its window."""

    gpu: GpuView
    state: ShownState
    utilization: Band
    mean_utilization: float | None
    memory: Band
    mean_memory_mib: float | None
    hottest: float | None
    holds: Sequence[Hold]
    held: Mapping[str, float]
    """By owner the part of the window in which their jobs held it, in percent."""
    acts: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostBox:
    """A host with its GPUs; `start` is when the window begins."""

    name: str
    host: HostView | None
    models: Sequence[str]
    rows: Sequence[GpuRow]
    start: datetime | None
    hours: str
    may_change: bool
    acts: Sequence[str]

    @property
    def is_gone(self) -> bool:
        """Whether it could be removed: nobody is there who would register it again at once."""
        return self.host is not None and not self.host.alive and not self.host.jobs


def list_boxes(visit: Visit, *, hours: str, may_change: bool) -> Sequence[HostBox]:
    """Every host with its GPUs."""
    history = {one.uuid: one for one in visit.client.list_gpu_history(hours=int(hours), points=POINTS)}
    hosts = {host.host: host for host in visit.client.list_hosts()}
    gpus = [gpu for gpu in visit.list_gpus() if gpu.uuid in history]  # one may have come between
    names = sorted({*hosts, *(gpu.host for gpu in gpus)})
    boxes = []
    for name in names:
        here = [gpu for gpu in gpus if gpu.host == name]
        boxes.append(
            HostBox(
                name=name,
                host=hosts.get(name),
                models=name_models(here),
                rows=[_make_row(gpu, history[gpu.uuid]) for gpu in here],
                start=history[here[0].uuid].start if here else None,
                hours=hours,
                may_change=may_change,
                acts=sorted({act for gpu in here for act in list_acts(gpu)}),
            )
        )
    return boxes


def _make_row(gpu: GpuView, history: GpuHistoryView) -> GpuRow:
    seconds = float(history.bucket_seconds * len(history.utilization))
    holds = place_holds(history.holders, start=history.start, seconds=seconds)
    held: dict[str, float] = defaultdict(float)
    for hold in holds:
        held[hold.owner] += PERCENT * hold.seconds / seconds
    memory = history.memory_used_mib
    return GpuRow(
        gpu=gpu,
        state=name_state(gpu),
        utilization=draw_band(history.utilization, most=PERCENT),
        mean_utilization=history.mean_utilization,
        memory=draw_band(memory, most=float(gpu.memory_mib)),
        mean_memory_mib=history.mean_memory_used_mib,
        hottest=max((pair[1] for pair in history.temperature_celsius if pair), default=None),
        holds=holds,
        held=dict(sorted(held.items(), key=lambda one: -one[1])),
        acts=list_acts(gpu),
    )


def list_acts(gpu: GpuView) -> Sequence[str]:
    """What an administrator can do to a GPU as it is."""
    return {
        "available": ("drain", "quarantine"),
        "drained": ("undrain", "quarantine"),
        "quarantined": ("release",),
    }[gpu.state]
