"""Shows what was read of each GPU over some hours, and who held it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from cnnctl.views.fleet import GpuHistoryView, HolderView
from service.domain.bounds import HISTORY_POINTS, check_option
from service.domain.gpus import Gpu
from service.store.fleet import gpu_minutes, hosts, leases
from service.store.fleet.gpu_minutes import Spread
from service.store.fleet.leases import Holding
from service.store.transaction import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Buckets of whole minutes, the last of which ends with this minute."""

    start: int
    """Its first minute, since 1970."""
    bucket_minutes: int
    count: int


def list_gpu_history(store: Store, *, hours: float, points: int) -> Sequence[GpuHistoryView]:
    """Every registered GPU with what was read of it in the last hours, in at most `points` buckets.

    Raises:
        SpecError: `hours` or `points` lies outside its bounds.
    """
    check_option("--hours", hours)
    HISTORY_POINTS.check("points", points)
    holdings: dict[str, list[Holding]] = defaultdict(list)
    with store.reading() as tx:
        window = _plan_window(tx.now, hours=hours, points=points)
        spreads = gpu_minutes.list_spreads(
            tx, start=window.start, bucket_minutes=window.bucket_minutes, count=window.count
        )
        for holding in leases.list_holdings(tx, since=gpu_minutes.start_of(window.start)):
            holdings[holding.gpu_uuid].append(holding)
        gpus = hosts.list_gpus(tx)
    return [_describe(gpu, window, spreads, holdings[gpu.uuid]) for gpu in gpus]


def _plan_window(now: datetime, *, hours: float, points: int) -> _Window:
    minutes = ceil(hours * 60)
    bucket_minutes = ceil(minutes / points)
    count = ceil(minutes / bucket_minutes)
    start = gpu_minutes.minute_of(now) + 1 - count * bucket_minutes
    return _Window(start=start, bucket_minutes=bucket_minutes, count=count)


def _describe(
    gpu: Gpu,
    window: _Window,
    spreads: Mapping[tuple[str, str], Mapping[int, Spread]],
    holdings: Sequence[Holding],
) -> GpuHistoryView:
    utilization, memory, temperature = (
        spreads.get((gpu.uuid, measure), {})
        for measure in ("utilization_percent", "memory_used_mib", "temperature_celsius")
    )
    return GpuHistoryView(
        uuid=gpu.uuid,
        host=gpu.host_name,
        number=gpu.number,
        model=gpu.model,
        start=gpu_minutes.start_of(window.start),
        bucket_seconds=60 * window.bucket_minutes,
        utilization=_list_ranges(utilization, window),
        memory_used_mib=_list_ranges(memory, window),
        temperature_celsius=_list_ranges(temperature, window),
        mean_utilization=_mean(utilization.values()),
        mean_memory_used_mib=_mean(memory.values()),
        holders=[
            HolderView(job=one.job_id, owner=one.owner, since=one.acquired_at, until=one.released_at)
            for one in sorted(holdings, key=lambda holding: holding.acquired_at)
        ],
    )


def _list_ranges(spreads: Mapping[int, Spread], window: _Window) -> Sequence[tuple[float, float] | None]:
    found = [spreads.get(number) for number in range(window.count)]
    return [(spread.lowest, spread.highest) if spread else None for spread in found]


def _mean(spreads: Collection[Spread]) -> float | None:
    """The mean of all minutes in all buckets; None if nothing was read."""
    minutes = sum(spread.minutes for spread in spreads)
    return sum(spread.total for spread in spreads) / minutes if minutes else None
