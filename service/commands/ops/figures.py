"""Reads the figures of the whole service, for those who watch over it: plain numbers, few queries."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from service.commands.fleet.health import is_alive, read_health
from service.domain.gpus import Gpu, Reading
from service.domain.states import GpuState, JobState
from service.scheduler.policy import wait_classes
from service.settings import Settings
from service.store.fleet import hosts, readings, schedulers
from service.store.jobs import figures
from service.store.transaction import Store, Transaction

MOST_OWNERS = 100  # that are named one by one
OTHERS = "other"  # all the others together
KEPT_SECONDS = 15.0  # for which sums over all jobs are not made again
MINUTE, HOUR, DAY = 60, 3600, 86400
WAIT_BOUNDS = (1, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, DAY, 3 * DAY, 7 * DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How often something happened, and the seconds that it took together."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How many jobs waited at most each of `WAIT_BOUNDS`, and at last how many in all; the sum of seconds."""

    within: Sequence[int]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFigures:
    """A GPU and its last reading; None: it does not report that, or the reading is older than the lease."""

    host: str
    number: int
    memory_mib: int
    memory_used_mib: int | None = None
    utilization_percent: int | None = None
    temperature_celsius: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What is summed over all jobs since ever; at most `MOST_OWNERS` people are named."""

    gpu_seconds: Mapping[str, float]
    preemptions: Mapping[str, float]
    waits: Waits
    stalls: Total
    inexact_resumes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one moment; `hosts` says of each host whether its worker is alive."""

    scheduler: bool
    hosts: Mapping[str, bool]
    jobs: Mapping[str, int]
    queued: Mapping[str, int]
    gpu_states: Mapping[str, int]
    gpus: Sequence[GpuFigures]
    ticks: Total
    sums: Sums


class FigureReader:
    """Reads figures for one process; safe between threads."""

    def __init__(
        self, store: Store, settings: Settings, *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._settings = settings
        self._seconds = seconds
        self._lock = threading.Lock()
        self._named: set[str] = set()
        self._gpu_seconds: dict[str, float] = {}  # what was said last
        self._kept: tuple[float, Sums] | None = None

    def read(self) -> Figures:
        """The figures of now, in one transaction; the sums may be `KEPT_SECONDS` old.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        with self._lock, self._store.reading() as tx:
            health = read_health(tx, self._settings)
            states = figures.count_jobs(tx)
            classes = figures.count_queued(tx, wait_classes.PATTERNS, otherwise=wait_classes.OTHER)
            gpus = hosts.list_gpus(tx)
            read = readings.list_readings(tx)
            count, seconds = schedulers.sum_ticks(tx)
            return Figures(
                scheduler=health.scheduler,
                hosts={host.name: host.name in health.hosts for host in hosts.list_hosts(tx)},
                jobs={state.value: states.get(state, 0) for state in JobState},
                queued={name: classes.get(name, 0) for name in wait_classes.MEANINGS},
                gpu_states={state.value: sum(gpu.state is state for gpu in gpus) for state in GpuState},
                gpus=[self._describe(tx, gpu, read.get(gpu.uuid)) for gpu in gpus],
                ticks=Total(count=count, seconds=seconds),
                sums=self._sum(tx),
            )

    def _describe(self, tx: Transaction, gpu: Gpu, read: tuple[datetime, Reading] | None) -> GpuFigures:
        read_at, reading = read or (None, Reading())
        if not is_alive(tx, read_at, self._settings):
            reading = Reading()
        return GpuFigures(
            host=gpu.host_name,
            number=gpu.number,
            memory_mib=gpu.memory_mib,
            memory_used_mib=reading.memory_used_mib,
            utilization_percent=reading.utilization_percent,
            temperature_celsius=reading.temperature_celsius,
        )

    def _sum(self, tx: Transaction) -> Sums:
        now = self._seconds()
        if self._kept is None or now - self._kept[0] >= KEPT_SECONDS:
            self._kept = now, self._sum_anew(tx)
        return self._kept[1]

    def _sum_anew(self, tx: Transaction) -> Sums:
        gpu_seconds = figures.sum_gpu_seconds(tx)
        self._name(gpu_seconds)
        # A lease that was just given back may end before the moment until which it was counted.
        for owner, seconds in self._fold(gpu_seconds).items():
            self._gpu_seconds[owner] = max(seconds, self._gpu_seconds.get(owner, 0.0))
        counts, waited = zip(*figures.measure_waits(tx, WAIT_BOUNDS), strict=True)
        stalls, stall_seconds, inexact = figures.sum_checkpointing(tx)
        return Sums(
            gpu_seconds=dict(self._gpu_seconds),
            preemptions=self._fold(figures.sum_preemptions(tx)),
            waits=Waits(within=tuple(accumulate(counts)), seconds=sum(waited)),
            stalls=Total(count=stalls, seconds=stall_seconds),
            inexact_resumes=inexact,
        )

    def _name(self, gpu_seconds: Mapping[str, float]) -> None:
        """Choose who is named: by GPU time, and then for good.

        A counter that left the others' sum would make it smaller, and Prometheus would take that for a
        restart, and the whole sum for new.
        """
        unnamed = gpu_seconds.keys() - self._named - {OTHERS}
        most = sorted(unnamed, key=lambda owner: (-gpu_seconds[owner], owner))
        self._named.update(most[: MOST_OWNERS - len(self._named)])

    def _fold(self, values: Mapping[str, float]) -> Mapping[str, float]:
        folded: dict[str, float] = {}
        for owner, value in values.items():
            name = owner if owner in self._named else OTHERS
            folded[name] = folded.get(name, 0) + value
        return folded
