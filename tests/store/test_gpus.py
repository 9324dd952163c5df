"""GPUs in SQL: what was read of them, who uses them from outside, and what administrators do with them."""

import re
from collections.abc import Callable

import pytest

from cnnctl.views.fleet import OutsiderView
from service.commands.fleet.gpus import (
    drain_gpus,
    list_gpu_views,
    quarantine_gpus,
    release_gpus,
    undrain_gpus,
)
from service.commands.fleet.hosts import list_host_views
from service.dispatch.dispatcher import Dispatcher
from service.domain.gpus import Gpu, Outsider, Reading
from service.domain.jobs import Attempt, JobId
from service.domain.people import Actor
from service.domain.states import GpuState, JobState
from service.errors import CnnctlError, GpuConflict, GpuNotFound, NotAllowed, SpecError
from service.scheduler.loop import Scheduler
from service.settings import Settings
from service.store.fleet import hosts, readings
from service.store.jobs import jobs
from service.store.transaction import Store
from tests.conftest import ADA, HOST, Clock

ROOT = Actor(name="root", operator=True)
BOB = Outsider(pid=4711, user="bob", command="python", memory_mib=1200)
FIRST = f"{HOST}-0"
AddHost = Callable[..., None]


def report(store: Store, **fields: object) -> None:
    """Store a reading of the first GPU."""
    with store.transaction() as tx:
        readings.set_readings(tx, {FIRST: Reading(**fields)})  # type: ignore[arg-type]


def states(store: Store) -> list[tuple[GpuState, str]]:
    with store.reading() as tx:
        return [(gpu.state, gpu.reason) for gpu in hosts.list_gpus(tx)]


def test_the_newest_reading_of_a_gpu_is_kept(store: Store, add_host: AddHost, clock: Clock) -> None:
    add_host()
    report(store, temperature_celsius=61, utilization_percent=97, memory_used_mib=9, ecc_errors=2**40)
    clock.advance(5)
    report(store, memory_used_mib=10, outsiders=(BOB, Outsider()))
    with store.reading() as tx:
        newest = Reading(memory_used_mib=10, outsiders=(BOB, Outsider()))
        assert readings.list_readings(tx) == {FIRST: (clock.now, newest)}
        assert readings.list_outsiders(tx) == {FIRST: (BOB, Outsider())}
    report(store)
    with store.reading() as tx:
        assert readings.list_outsiders(tx) == {}


def test_who_holds_a_gpu_and_what_was_read_of_it_is_shown(
    store: Store, claimed: Callable[..., Attempt], settings: Settings, clock: Clock
) -> None:
    attempt = claimed()
    report(store, memory_used_mib=10, outsiders=(BOB,))
    held, free = list_gpu_views(store, settings)
    assert (held.job, held.owner, held.alive) == (attempt.job_id, "ada", True)
    assert held.since == held.read_at == clock.now
    assert held.memory_used_mib == 10
    assert held.outsiders == (OutsiderView(pid=4711, user="bob", command="python", memory_mib=1200),)
    assert (free.job, free.owner, free.memory_used_mib, free.outsiders) == (None, None, None, ())


def test_readings_that_are_old_are_not_shown_as_if_they_were_new(
    store: Store, add_host: AddHost, settings: Settings, clock: Clock
) -> None:
    add_host()
    report(store, memory_used_mib=10, outsiders=(BOB,))
    clock.advance(31)
    view = list_gpu_views(store, settings)[0]
    assert (view.alive, view.memory_used_mib) == (False, None)
    assert len(view.outsiders) == 1
    assert list_host_views(store, settings)[0].gpus_free == 0


def test_a_job_waits_for_a_gpu_that_is_used_from_outside_and_says_by_whom(
    store: Store, add_host: AddHost, add_job: Callable[..., JobId], settings: Settings
) -> None:
    add_host(gpus=1)
    report(store, outsiders=(BOB,))
    job_id = add_job()
    scheduler = Scheduler(store, settings, Dispatcher(settings))
    scheduler.tick()
    with store.reading() as tx:
        job = jobs.get_job(tx, job_id)
    assert job.state is JobState.QUEUED
    assert job.reason == (
        "waits for 1 GPU on one host: gpu01, the largest host that is up, has 0 usable; "
        "GPU 0 is in use from outside the queue (bob's python, pid 4711)"
    )
    assert list_host_views(store, settings)[0].gpus_free == 0
    report(store)
    scheduler.tick()
    with store.reading() as tx:
        assert jobs.get_job(tx, job_id).state is JobState.RUNNING


def test_a_drained_gpu_gets_no_job_until_it_is_undrained(
    store: Store, add_host: AddHost, add_job: Callable[..., JobId], settings: Settings
) -> None:
    add_host(gpus=1)
    drain_gpus(store, settings, [f"{HOST}:0"], reason="a talk", actor=ROOT)
    add_host(gpus=1, worker="w2")
    assert states(store) == [(GpuState.DRAINED, "a talk (by root)")]
    job_id = add_job()
    scheduler = Scheduler(store, settings, Dispatcher(settings))
    scheduler.tick()
    with store.reading() as tx:
        assert jobs.get_job(tx, job_id).reason.endswith("GPU 0 is drained")
    undrain_gpus(store, settings, [FIRST], actor=ROOT)
    assert states(store) == [(GpuState.AVAILABLE, "")]
    scheduler.tick()
    with store.reading() as tx:
        assert jobs.get_job(tx, job_id).state is JobState.RUNNING


def test_a_quarantine_goes_before_a_drain_and_has_a_reason(
    store: Store, settings: Settings, add_host: AddHost
) -> None:
    add_host(gpus=1)
    drain_gpus(store, settings, [FIRST], reason="", actor=ROOT)
    assert states(store) == [(GpuState.DRAINED, "by root")]
    with pytest.raises(GpuConflict, match=r"gpu01:0 .* cannot be released: it is drained"):
        release_gpus(store, settings, [FIRST], actor=ROOT)
    with pytest.raises(SpecError, match="--reason must say what is wrong"):
        quarantine_gpus(store, settings, [FIRST], reason=" ", actor=ROOT)
    quarantine_gpus(store, settings, [FIRST], reason="falls off the bus", actor=ROOT)
    assert states(store) == [(GpuState.QUARANTINED, "falls off the bus (by root)")]
    with pytest.raises(GpuConflict, match=r"cannot be drained: it is quarantined.*cnnctl gpus release"):
        drain_gpus(store, settings, [FIRST], reason="", actor=ROOT)
    with pytest.raises(GpuConflict, match=r"cannot be undrained: it is quarantined"):
        undrain_gpus(store, settings, [FIRST], actor=ROOT)
    release_gpus(store, settings, [FIRST], actor=ROOT)
    assert states(store) == [(GpuState.AVAILABLE, "")]


@pytest.mark.parametrize(
    "act",
    [
        lambda store, settings, actor: drain_gpus(store, settings, [FIRST], reason="", actor=actor),
        lambda store, settings, actor: undrain_gpus(store, settings, [FIRST], actor=actor),
        lambda store, settings, actor: quarantine_gpus(store, settings, [FIRST], reason="hot", actor=actor),
        lambda store, settings, actor: release_gpus(store, settings, [FIRST], actor=actor),
    ],
)
def test_only_administrators_take_gpus_out_of_use_or_give_them_back(
    store: Store, settings: Settings, add_host: AddHost, act: Callable[[Store, Settings, Actor], object]
) -> None:
    add_host(gpus=1)
    with pytest.raises(NotAllowed, match=r"Only an administrator may take GPUs out of use.* You are ada"):
        act(store, settings, ADA)
    assert states(store) == [(GpuState.AVAILABLE, "")]


def test_a_host_is_drained_and_given_back_whole_but_for_what_is_quarantined(
    store: Store, settings: Settings, add_host: AddHost
) -> None:
    add_host()
    add_host("gpu02", gpus=3)
    quarantine_gpus(store, settings, ["gpu02:1"], reason="a fan", actor=ROOT)
    assert [gpu.number for gpu in drain_gpus(store, settings, ["gpu02"], reason="a move", actor=ROOT)] == [
        0,
        2,
    ]
    others = [state for state, _ in states(store)]
    assert others == [GpuState(name) for name in (*2 * ("available",), "drained", "quarantined", "drained")]
    assert [gpu.number for gpu in undrain_gpus(store, settings, ["gpu02"], actor=ROOT)] == [0, 2]
    with pytest.raises(GpuConflict, match=r"No GPU of gpu02 is drained\."):
        undrain_gpus(store, settings, ["gpu02"], actor=ROOT)


def test_several_gpus_are_drained_all_or_none(store: Store, settings: Settings, add_host: AddHost) -> None:
    add_host(gpus=2)
    with pytest.raises(GpuNotFound):
        drain_gpus(store, settings, [FIRST, "no such GPU"], reason="", actor=ROOT)
    assert [state for state, _ in states(store)] == [GpuState.AVAILABLE] * 2
    assert len(drain_gpus(store, settings, [FIRST, f"{HOST}:0", f"{HOST}:1"], reason="", actor=ROOT)) == 2
    assert len(undrain_gpus(store, settings, [HOST, f"{HOST}:0"], actor=ROOT)) == 2


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("GPU-4f", None),
        ("gpu02:1", None),
        ("GPU-", "2 GPUs have UUIDs that begin with GPU-. Known: gpu02:0 (GPU-4f0e), gpu02:1 (GPU-4e11)"),
        ("gpu02:7", "There is no GPU gpu02:7. Known: gpu02:0 (GPU-4f0e), gpu02:1 (GPU-4e11)"),
    ],
)
def test_a_gpu_goes_by_how_its_uuid_begins_or_by_its_host_and_number(
    store: Store, settings: Settings, name: str, error: str | None
) -> None:
    with store.transaction() as tx:
        devices = [make_gpu(0, "GPU-4f0e"), make_gpu(1, "GPU-4e11")]
        hosts.register_host(tx, "gpu02", worker="w", cores=2, devices=devices)
    if error is None:
        assert len(drain_gpus(store, settings, [name], reason="", actor=ROOT)) == 1
        return
    with pytest.raises(CnnctlError, match=re.escape(error)):
        drain_gpus(store, settings, [name], reason="", actor=ROOT)


def make_gpu(number: int, uuid: str, *, mig: bool = False) -> Gpu:
    return Gpu(
        uuid=uuid,
        host_name="gpu02",
        number=number,
        model="NVIDIA H200",
        memory_mib=143_771,
        simulated=False,
        mig=mig,
        driver="570.86.15",
    )


def test_drivers_and_mig_instances_are_remembered(store: Store, settings: Settings) -> None:
    with store.transaction() as tx:
        devices = [make_gpu(0, "MIG-a", mig=True), make_gpu(1, "MIG-b", mig=True), make_gpu(2, "GPU-c")]
        hosts.register_host(tx, "gpu02", worker="w", cores=2, devices=devices)
        assert hosts.largest_host(tx) == ("gpu02", 3)
        assert hosts.largest_host(tx, job_gpus=2) == ("gpu02", 1)
    views = list_gpu_views(store, settings)
    assert [view.mig for view in views] == [True, True, False]
    assert list_host_views(store, settings)[0].driver == "570.86.15"
