"""What is computed in shards side by side, and what must not be."""

import pytest

from service.domain.spec_request import resolve_spec
from workers.train.distributed.shards import count_shards
from workers.train.process.launch import Launch


def launch_on(gpus: int, *, threads: int, simulated: bool = True) -> Launch:
    return Launch(
        gpu_uuids=tuple(str(number) for number in range(gpus)),
        simulated=simulated,
        threads=threads,
        datasets_dir="",
        resume_from=(),
        lease_seconds=30,
    )


@pytest.mark.parametrize(
    ("gpus", "threads", "batch", "shards"),
    [
        (1, 1, 32, 1),
        (1, 2, 32, 2),
        (1, 16, 32, 4),  # eight images are the least
        (2, 16, 64, 4),
        (1, 6, 32, 2),  # all shards of one size, and the threads shared out evenly
        (1, 2, 33, 1),
        (2, 3, 64, 1),
    ],
)
def test_each_thread_has_a_shard_where_images_and_threads_go_round(
    gpus: int, threads: int, batch: int, shards: int
) -> None:
    spec = resolve_spec("lenet5", {"training.batch_size": batch, "resources.gpus": gpus})
    assert count_shards(spec, launch_on(gpus, threads=threads)) == shards


@pytest.mark.parametrize("field", [{"model.norm": "batch"}, {"model.dropout": "standard:0.5"}])
def test_what_looks_at_all_images_of_a_replica_is_computed_in_one(field: dict[str, object]) -> None:
    assert count_shards(resolve_spec("lenet5", field), launch_on(1, threads=2)) == 1


def test_a_gpu_is_given_its_whole_share() -> None:
    assert count_shards(resolve_spec("lenet5", {}), launch_on(1, threads=2, simulated=False)) == 1
