"""The first page: who trains on which GPU, what starts next, one's own jobs, and what went wrong."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from starlette.datastructures import QueryParams

from cnnctl.views.access import AuditView
from cnnctl.views.fleet import GpuHistoryView, GpuView, HostView
from cnnctl.views.jobs import JobSummary
from cnnctl.views.requests import JobQuery
from cnnctl.views.studies import StudyView
from service.commands.fleet.shown_state import name_state
from service.web.address import check_query
from service.web.gpu_card import GpuCard, make_card, name_models
from service.web.parts import Page, Part, Visit, about_subjects

MOST_QUEUED = 20  # that are shown
MOST_MINE = 20
MOST_STUDIES = 20
MOST_TROUBLES = 10
HISTORY_HOURS = 1
HISTORY_POINTS = 30


def make_page(visit: Visit, names: Mapping[str, str], query: QueryParams) -> Page:
    """The page; its address says nothing more."""
    check_query(query, ())
    return Page(
        title="Now",
        template="now",
        section="Now",
        command="cnnctl status; cnnctl gpus",
        parts=[
            Part(name="gpus", look=count_gpus, seconds=10, concerns=changes_counts),
            Part(name="waiting", look=get_waiting, seconds=10),
            Part(name="strip", look=list_racks, seconds=10, concerns=changes_racks),
            Part(name="studies", look=list_studies, seconds=15, concerns=about_subjects("study")),
            Part(name="queue", look=list_queue, seconds=10),
            Part(name="mine", look=list_mine, personal=True, seconds=10, concerns=is_mine(visit.me.name)),
            Part(name="troubles", look=list_troubles, seconds=15, concerns=goes_wrong),
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCounts:
    """The whole room in half a line."""

    gpus: int
    train: int
    free: int
    outside: int
    drained: int
    quarantined: int
    silent: int
    holding: frozenset[int | None]
    """The jobs that hold them."""


def count_gpus(visit: Visit) -> GpuCounts:
    """How many GPUs train, are free or out of use."""
    gpus = visit.list_gpus()
    states = [name_state(gpu) for gpu in gpus]
    return GpuCounts(
        gpus=len(states),
        train=states.count("in use") + states.count("draining"),
        free=states.count("free"),
        outside=states.count("outside"),
        drained=states.count("drained"),
        quarantined=states.count("quarantined"),
        silent=states.count("no worker"),
        holding=frozenset(gpu.job for gpu in gpus),
    )


def get_waiting(visit: Visit) -> tuple[int, datetime | None]:
    """How many jobs wait, and when the next one starts."""
    first = _list_queued(visit)[:1]
    return _count_jobs(visit)["queued"], first[0].estimated_start_at if first else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack:
    """A host and its GPUs."""

    host: HostView | None
    name: str
    models: Sequence[str]
    cards: Sequence[GpuCard]


def list_racks(visit: Visit) -> Sequence[Rack]:
    """Every host with its GPUs, each with the last hour."""
    history = {
        one.uuid: one for one in visit.client.list_gpu_history(hours=HISTORY_HOURS, points=HISTORY_POINTS)
    }
    hosts = {host.host: host for host in visit.client.list_hosts()}
    gpus = visit.list_gpus()
    names = list(dict.fromkeys([*(gpu.host for gpu in gpus), *hosts]))
    return [_make_rack(name, hosts.get(name), gpus, history) for name in names]


def _make_rack(
    name: str, host: HostView | None, gpus: Sequence[GpuView], history: Mapping[str, GpuHistoryView]
) -> Rack:
    here = [gpu for gpu in gpus if gpu.host == name]
    return Rack(
        host=host,
        name=name,
        models=name_models(here),
        cards=[make_card(gpu, history.get(gpu.uuid)) for gpu in here],
    )


def list_studies(visit: Visit) -> Sequence[StudyView]:
    """The studies that have not ended."""
    return visit.client.list_studies(running=True, limit=MOST_STUDIES)


def list_queue(visit: Visit) -> tuple[Sequence[JobSummary], int]:
    """The jobs that start next, and how many wait in all."""
    return _list_queued(visit), _count_jobs(visit)["queued"]


def _list_queued(visit: Visit) -> Sequence[JobSummary]:
    """The first of the queue, in the order in which they start."""
    query = JobQuery(state=["queued"])
    return visit.once("queued", lambda: visit.client.list_jobs(query, limit=MOST_QUEUED, sort="start").items)


def _count_jobs(visit: Visit) -> Mapping[str, int]:
    """How many jobs are in each state."""
    return visit.once("counts", visit.client.count_jobs).states


def list_mine(visit: Visit) -> Sequence[JobSummary]:
    """One's own jobs that have not ended, then those that ended in the last day."""
    unfinished = JobQuery(owner=visit.me.name, state=["running", "queued", "paused"])
    ended = JobQuery(owner=visit.me.name, ended_since=_yesterday())
    found = [
        *visit.client.list_jobs(unfinished, limit=MOST_MINE).items,
        *visit.client.list_jobs(ended, limit=MOST_MINE, sort="ended").items,
    ]
    return found[:MOST_MINE]


def list_troubles(visit: Visit) -> tuple[Sequence[JobSummary], Sequence[GpuView], Sequence[str]]:
    """Jobs that failed in the last day, GPUs that are out of use, and what keeps jobs waiting."""
    failed = JobQuery(state=["failed"], ended_since=_yesterday())
    jobs = visit.client.list_jobs(failed, limit=MOST_TROUBLES, sort="ended").items
    gpus = [gpu for gpu in visit.list_gpus() if gpu.state == "quarantined"]
    return jobs, gpus, visit.get_health().notices


def _yesterday() -> datetime:
    """A day ago, to the minute."""
    return datetime.now(timezone.utc).replace(second=0, microsecond=0) - timedelta(days=1)


def changes_counts(entry: AuditView, counts: GpuCounts | None) -> bool:
    """As `changes_racks`: an entry about the queue alone is no reason to read all GPUs."""
    return _changes_gpus(entry, counts.holding if counts else ())


def changes_racks(entry: AuditView, racks: Sequence[Rack] | None) -> bool:
    """Whether somebody else may hold a GPU by now."""
    return _changes_gpus(entry, {card.gpu.job for rack in racks or () for card in rack.cards})


def _changes_gpus(entry: AuditView, holding: Collection[int | None]) -> bool:
    return entry.subject in ("gpu", "host") or entry.action == "dispatched" or entry.job in holding


def goes_wrong(entry: AuditView, _: object) -> bool:
    """Whether an entry is of those that are listed as troubles."""
    return entry.subject in ("gpu", "host") or entry.action in ("failed", "retried")


def is_mine(name: str) -> Callable[[AuditView, Sequence[JobSummary] | None], bool]:
    """Whether an entry is about a person's jobs: about those that were shown, or done by themselves."""

    def concerns(entry: AuditView, shown: Sequence[JobSummary] | None) -> bool:
        return entry.actor == name or entry.job in {job.job for job in shown or ()}

    return concerns
