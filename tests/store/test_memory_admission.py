"""A job that no GPU could hold is refused with what would fit; one that could is not."""

import re
from collections.abc import Callable

import pytest

from service.commands.dataset_size import measure_dataset
from service.commands.job_memory import predict_job_memory
from service.commands.submit import submit
from service.domain.gpus import Gpu
from service.domain.jobs import JobId
from service.domain.people import User
from service.domain.spec_request import resolve_spec
from service.domain.terms import Terms
from service.errors import SpecError
from service.settings import Settings
from service.store import hosts, jobs, users
from service.store.transaction import Store
from tests.conftest import ADA

MIB = 1024 * 1024
CARD, LARGE = "NVIDIA T1000", "NVIDIA H200"


@pytest.fixture
def add_real_host(store: Store) -> Callable[..., None]:
    """Register a host with real GPUs, one for each memory in MiB."""

    def add(name: str, *memories_mib: int, model: str = CARD) -> None:
        devices = [
            Gpu(
                uuid=f"{name}-{number}",
                host_name=name,
                number=number,
                model=model,
                memory_mib=memory_mib,
                simulated=False,
            )
            for number, memory_mib in enumerate(memories_mib)
        ]
        with store.transaction() as tx:
            hosts.register_host(tx, name, worker="w1", cores=2, devices=devices)

    return add


@pytest.fixture
def ask(store: Store, settings: Settings) -> Callable[..., JobId]:
    """Submit an AlexNet as a person would."""

    def ask_one(batch_size: int, *, gpus: int = 1, **asked: str) -> JobId:
        fields = {"training.batch_size": batch_size, "resources.gpus": gpus, "data.dataset": "synthetic"}
        return submit(store, settings, "alexnet", fields, owner=ADA, terms=Terms(**asked))  # type: ignore[arg-type]

    return ask_one


def need_mib(batch_size: int, *, gpus: int = 1) -> float:
    spec = resolve_spec(
        "alexnet",
        {"training.batch_size": batch_size, "resources.gpus": gpus, "data.dataset": "synthetic"},
    )
    return predict_job_memory(spec, measure_dataset(spec.data)).total / MIB


def largest_offered(refusal: pytest.ExceptionInfo[SpecError]) -> int:
    found = re.search(r"Largest batch size that fits: (\d+)\.", str(refusal.value))
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
    with pytest.raises(SpecError, match="Not even one image a GPU would fit"):
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
