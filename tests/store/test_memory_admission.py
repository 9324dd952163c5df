"""A job that no GPU could hold is refused with what would fit; one that could is not."""

import math
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic
from zipfile import ZipFile

import numpy as np
import pytest

from service.commands.jobs.dataset_size import measure_dataset
from service.commands.jobs.job_memory import predict_needs
from service.commands.jobs.submit import submit
from service.domain.gpus import Gpu
from service.domain.jobs import JobId
from service.domain.people import User
from service.domain.scheduling_options import SchedulingOptions
from service.domain.spec_request import resolve_spec
from service.domain.states import JobState
from service.errors import SpecError
from service.scheduler.faulty_jobs import FaultyJobs
from service.scheduler.policy.planner import plan
from service.scheduler.policy.situation import Snapshot
from service.scheduler.runtime_forecasts import RuntimeForecasts
from service.scheduler.snapshot import take_snapshot
from service.settings import Settings
from service.store.fleet import hosts
from service.store.jobs import jobs
from service.store.people import users
from service.store.transaction import Store
from tests.conftest import ADA

MIB = 1024 * 1024
CARD, LARGE = "NVIDIA T1000", "NVIDIA H200"


@pytest.fixture
def add_real_host(store: Store) -> Callable[..., None]:
    """Register a host with real GPUs, one for each memory in MiB."""

    def add(name: str, *memories_mib: int, model: str = CARD, mig: bool = False) -> None:
        devices = [
            Gpu(
                uuid=f"{name}-{number}",
                host_name=name,
                number=number,
                model=model,
                memory_mib=memory_mib,
                simulated=False,
                mig=mig,
            )
            for number, memory_mib in enumerate(memories_mib)
        ]
        with store.transaction() as tx:
            hosts.register_host(tx, name, worker="w1", cores=2, devices=devices)

    return add


@pytest.fixture
def ask(store: Store, settings: Settings) -> Callable[..., JobId]:
    """Submit an AlexNet as a person would."""

    def ask_one(batch_size: int, *, gpus: int = 1, **asked: object) -> JobId:
        fields = {"training.batch_size": batch_size, "resources.gpus": gpus, "data.dataset": "synthetic"}
        scheduling = SchedulingOptions(**asked)  # type: ignore[arg-type]
        return JobId(submit(store, settings, "alexnet", fields, owner=ADA, scheduling=scheduling).job)

    return ask_one


def need_mib(batch_size: int, *, gpus: int = 1) -> float:
    spec = resolve_spec(
        "alexnet",
        {"training.batch_size": batch_size, "resources.gpus": gpus, "data.dataset": "synthetic"},
    )
    return predict_needs(spec, measure_dataset(spec.data, datasets_dir=Path())).expected.total / MIB


def largest_offered(refusal: pytest.ExceptionInfo[SpecError]) -> int:
    found = re.search(r"Largest batch size that surely fits: (\d+)\.", str(refusal.value))
    assert found
    return int(found[1])


def test_what_fits_no_gpu_is_refused_with_the_largest_batch_and_that_one_is_taken(
    store: Store, ask: Callable[..., JobId], add_real_host: Callable[..., None]
) -> None:
    add_real_host("gpu01", 4096, 4096)
    with pytest.raises(SpecError) as refusal:
        ask(1024)
    message = str(refusal.value)
    assert message.startswith("training.batch_size: 1024 images of alexnet need at least ")
    assert f"and the largest, {CARD} on gpu01, has 4,096" in message
    largest = largest_offered(refusal)
    assert need_mib(largest) <= 4096 < need_mib(largest + 1)
    with store.reading() as tx:
        assert not jobs.list_jobs(tx)
    ask(largest)
    ask(largest + 1)  # only what is allowed for does not fit: nobody knows whether it will be needed


def test_more_gpus_are_named_where_they_would_help_and_the_quota_has_them(
    store: Store, ask: Callable[..., JobId], add_real_host: Callable[..., None]
) -> None:
    add_real_host("gpu01", *[4096] * 8)
    batch_size = 1024
    assert need_mib(batch_size) > 4096 > need_mib(batch_size, gpus=8)
    with pytest.raises(SpecError, match=r"Or: --gpus \d$") as refusal:
        ask(batch_size)
    gpus = int(str(refusal.value)[-1])
    assert need_mib(batch_size, gpus=gpus) <= 4096 < need_mib(batch_size, gpus=gpus // 2)
    ask(batch_size, gpus=gpus)
    with store.transaction() as tx:
        users.set_user(tx, User(name="ada", max_gpus=gpus - 1))
    with pytest.raises(SpecError, match=r"fits: \d+\.$"):
        ask(batch_size)


def test_the_largest_batch_of_several_gpus_is_a_multiple_of_them(
    ask: Callable[..., JobId], add_real_host: Callable[..., None]
) -> None:
    add_real_host("gpu01", *[4096] * 3)
    with pytest.raises(SpecError) as refusal:
        ask(1536, gpus=3)
    largest = largest_offered(refusal)
    assert largest % 3 == 0
    ask(largest, gpus=3)


def test_a_gang_needs_the_memory_on_every_one_of_its_gpus(
    ask: Callable[..., JobId], add_real_host: Callable[..., None]
) -> None:
    add_real_host("gpu01", 24_000, 4096)
    ask(512)
    with pytest.raises(SpecError, match=r"on each of 2 GPUs, and the largest, .* has 4,096"):
        ask(1024, gpus=2)


def test_only_gpus_that_the_job_may_run_on_count(
    ask: Callable[..., JobId], add_real_host: Callable[..., None]
) -> None:
    add_real_host("gpu01", 4096)
    add_real_host("gpu02", 140_000, model=LARGE)
    ask(1024)
    ask(1024, gpu_model="h200")
    for place in ({"gpu_model": "t1000"}, {"host_name": "gpu01"}):
        with pytest.raises(SpecError, match=f"the largest, {CARD} on gpu01"):
            ask(1024, **place)


def test_a_gpu_that_cannot_even_hold_the_weights_is_said_so(
    ask: Callable[..., JobId], add_real_host: Callable[..., None]
) -> None:
    add_real_host("gpu01", 512)
    with pytest.raises(SpecError, match="No batch size surely fits there"):
        ask(8)


def test_simulated_gpus_and_those_of_unknown_memory_limit_nothing(
    ask: Callable[..., JobId], add_host: Callable[..., None], add_real_host: Callable[..., None]
) -> None:
    ask(1024)
    add_real_host("gpu02", 4096)
    add_host()
    ask(1024)
    add_real_host("gpu03", 0)
    ask(1024, host_name="gpu03")


def look(store: Store, *alive: str) -> Snapshot:
    with store.reading() as tx:
        queued = jobs.list_jobs_in(tx, JobState.QUEUED)
        forecasts = RuntimeForecasts(clock=monotonic)
        return take_snapshot(tx, queued, alive=set(alive), used={}, forecasts=forecasts, faulty=FaultyJobs())


def test_what_a_job_needs_is_kept_for_those_who_place_it(
    store: Store, ask: Callable[..., JobId], add_host: Callable[..., None], add_real_host: Callable[..., None]
) -> None:
    add_real_host("gpu01", 4096)
    add_real_host("gpu02", 24_000)
    add_host("gpu03")
    large = ask(1024)
    seen = look(store, "gpu01", "gpu02", "gpu03")
    assert seen.queued[0].memory_mib == math.ceil(need_mib(1024))
    memories = {host.name: host.gpus[0].memory_mib for host in seen.hosts}
    assert memories == {"gpu01": 4096, "gpu02": 24_000, "gpu03": 0}
    only_real = replace(seen, hosts=seen.hosts[:2])
    (placement,) = plan(only_real, seen.queued[0].queued_at).placements
    assert (placement.job_id, placement.host_name) == (large, "gpu02")


def test_a_job_is_kept_to_gpus_on_which_it_surely_fits_while_a_host_that_is_up_has_them(
    store: Store, ask: Callable[..., JobId], add_real_host: Callable[..., None]
) -> None:
    add_real_host("gpu01", 4096)
    add_real_host("gpu02", 24_000)
    assert need_mib(220) > 4096
    ask(220)
    assert look(store, "gpu01", "gpu02").queued[0].memory_mib == math.ceil(need_mib(220))
    assert 0 < look(store, "gpu01").queued[0].memory_mib < 4096
    with store.transaction() as tx:
        hosts.quarantine_gpu(tx, "gpu02-0", reason="a fan")
    assert 0 < look(store, "gpu01", "gpu02").queued[0].memory_mib < 4096


def test_over_hosts_the_memory_of_each_of_them_counts(
    ask: Callable[..., JobId], add_real_host: Callable[..., None]
) -> None:
    add_real_host("big", 140_000)
    add_real_host("tiny", 2048)
    with pytest.raises(SpecError, match=f"and the largest, {CARD} on tiny, has 2,048"):
        ask(1024, gpus=2, hosts=2)


def test_gpus_offered_instead_are_shared_out_evenly_over_the_hosts(
    ask: Callable[..., JobId], add_real_host: Callable[..., None]
) -> None:
    add_real_host("gpu01", *[4096] * 6)
    add_real_host("gpu02", *[4096] * 6)
    with pytest.raises(SpecError, match=r"Or: --gpus \d+$") as refusal:
        ask(1440, gpus=2, hosts=2)
    more = int(str(refusal.value).rsplit(" ", 1)[1])
    ask(1440, gpus=more, hosts=2)


def test_mig_instances_count_for_jobs_on_one_gpu_only(
    ask: Callable[..., JobId], add_real_host: Callable[..., None]
) -> None:
    add_real_host("gpu01", *[4096] * 6, mig=True)
    with pytest.raises(SpecError, match=r"Largest batch size that surely fits: \d+\.$"):
        ask(960)


def test_of_a_dataset_by_place_only_what_is_certain_can_refuse_a_job(
    store: Store, settings: Settings, add_real_host: Callable[..., None], tmp_path: Path
) -> None:
    gray_NHW = np.zeros((12, 256, 300), np.uint8)
    labels_N = np.arange(12) % 4
    path = tmp_path / "gray.npz"
    unused = np.zeros(64 * 2**20, np.uint8)
    np.savez_compressed(
        path, x_train=gray_NHW, y_train=labels_N, x_test=gray_NHW, y_test=labels_N, unused=unused
    )
    fields = {"data.dataset": f"npz:{path}", "data.image_size": 256, "training.batch_size": 8}
    add_real_host("gpu01", 8000)
    submit(store, settings, "mlp", {**fields, "model.hidden_units": 4096}, owner=ADA)
    size = measure_dataset(resolve_spec("mlp", fields).data, datasets_dir=Path())
    assert (size.channels, size.resident_bytes) == (1, 2 * 12 * 256**2)


@pytest.mark.parametrize("header", [b"\x93NUMPY\x01\x00\x05", b"\x93NUMPY\x01\x00\x02\x00[]", b""])
def test_of_a_damaged_file_nothing_is_certain(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.npz"
    with ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", header)
    spec = resolve_spec("mlp", {"data.dataset": f"npz:{path}"})
    assert measure_dataset(spec.data, datasets_dir=Path()).resident_bytes == 0


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_in_the_place_of_a_dataset_keeps_nobody_waiting(tmp_path: Path, kind: str) -> None:
    """Somebody may put one there after the check, and each would take a thread of the API for ever."""
    path = tmp_path / "images.npz"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    data = resolve_spec("mlp", {"data.dataset": f"npz:{path}"}).data
    with ThreadPoolExecutor(1) as pool:
        size = pool.submit(measure_dataset, data, datasets_dir=tmp_path)
        try:
            assert size.result(timeout=10).resident_bytes == 0
        finally:
            if kind == "pipe":
                os.close(os.open(path, os.O_RDWR))  # whoever waits goes on
