"""One run over two hosts: two real trainers with two simulated devices each, on this machine."""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnctl.files import PREDICTIONS_FILE
from models.predictions import load_predictions
from service.domain.run_folder import member_name
from tests.trainer_run import Run
from workers.attempts.starter import Starter
from workers.train.checkpoints.files import Snapshot

HOSTS = GPUS_EACH = 2
FIELDS: dict[str, object] = {"data.dataset": "digits", "training.epochs": 3}
LONG = {**FIELDS, "training.epochs": 15, "model.dropout": "standard:0.3"}


class Cluster:
    """The trainers of one attempt over two hosts, the chief's first."""

    def __init__(self, folder: Path, starter: Starter) -> None:
        self.chief = Run(folder, starter)
        self.member = Run(folder / member_name(1), starter)

    def start(
        self, *, fields: dict[str, object], of_member: Mapping[str, Any] = {}, **launch: Any
    ) -> "Cluster":
        cluster = find_addresses(HOSTS)
        common = {"gpus": GPUS_EACH, "threads": GPUS_EACH, "cluster": cluster, "fields": fields, **launch}
        self.chief.start(**common, rank=0)
        self.member.start(**{**common, **of_member}, rank=1)
        return self

    def end(self) -> Any:
        """The final event of the chief, when both have ended."""
        final_event = self.chief.end()
        self.member.end()
        return final_event


def find_addresses(count: int) -> tuple[str, ...]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = tuple(f"127.0.0.1:{one.getsockname()[1]}" for one in sockets)
    for one in sockets:
        one.close()
    return addresses


@pytest.fixture
def start_cluster(tmp_path: Path, starter: Starter) -> Callable[..., Cluster]:
    made: list[Cluster] = []

    def start(**arguments: Any) -> Cluster:
        made.append(Cluster(tmp_path / "jobs" / "1" / str(len(made) + 1), starter))
        return made[-1].start(**arguments)

    return start


def largest_difference(a: Snapshot, b: Snapshot) -> float:
    pairs = zip([*a.network, *a.optimizer], [*b.network, *b.optimizer], strict=True)
    return max(float(np.abs(x.astype(np.float64) - y.astype(np.float64)).max()) for x, y in pairs)


def long(value: object) -> Any:
    return pytest.param(value, marks=pytest.mark.long)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        long({"model.norm": "batch", "model.l2": 1e-3, "optimizer.name": "adam", "optimizer.lr": 1e-3}),
        long({"data.augment": "crop:4,mirror", "model.dropout": "spatial:0.2", "training.diagnostics": True}),
    ],
)
def test_weights_over_two_hosts_are_those_of_one_host_with_as_many_devices(
    tmp_path: Path, starter: Starter, start_cluster: Callable[..., Cluster], fields: dict[str, object]
) -> None:
    fields = {**FIELDS, **fields}
    alone = Run(tmp_path / "jobs" / "alone" / "1", starter).start(gpus=4, threads=4, fields=fields)
    alone.end()
    over = start_cluster(fields=fields)
    assert over.end()["outcome"] == "succeeded"
    assert largest_difference(over.chief.last_checkpoint(), alone.last_checkpoint()) <= 1e-5
    assert over.chief.values("val_loss") == pytest.approx(alone.values("val_loss"), abs=1e-4)
    assert over.chief.values("test_accuracy") == alone.values("test_accuracy")
    said, said_alone = (load_predictions(one.folder / PREDICTIONS_FILE) for one in (over.chief, alone))
    np.testing.assert_array_equal(said.labels, said_alone.labels)
    np.testing.assert_allclose(said.probabilities, said_alone.probabilities, atol=1e-4)
    assert not (over.member.folder / PREDICTIONS_FILE).exists()
    assert over.member.newest_first() == ()


@pytest.mark.parametrize("told", [long("chief"), long("member")])
def test_whichever_host_is_told_to_stop_both_do_after_the_same_step_and_resume_bit_for_bit(
    start_cluster: Callable[..., Cluster], told: str
) -> None:
    digest = start_cluster(fields=LONG).end()["weights_digest"]
    stopped = start_cluster(fields=LONG)
    stopped.chief.wait_for("progress")
    (stopped.chief if told == "chief" else stopped.member).terminate()
    assert stopped.end()["outcome"] == "interrupted"
    step = stopped.chief.last_checkpoint().position.step
    said = [one.events()[-1]["reason"].rpartition("; ")[2] for one in (stopped.chief, stopped.member)]
    assert said == [f"stopped after step {step}"] * HOSTS
    resumed = start_cluster(fields=LONG, resume_from=stopped.chief.newest_first())
    assert resumed.end()["weights_digest"] == digest
    started = next(event for event in resumed.chief.events() if event["kind"] == "started")
    assert started["exact"]
    assert 0 < step <= started["step"]


def test_hosts_that_do_not_see_the_same_checkpoints_fail_and_say_what_they_must_share(
    start_cluster: Callable[..., Cluster],
) -> None:
    first = start_cluster(fields=FIELDS)
    first.end()
    apart = start_cluster(
        fields=FIELDS, resume_from=first.chief.newest_first(), of_member={"resume_from": ()}
    )
    final_event = apart.end()
    assert final_event["outcome"] == "failed"
    assert "checkpoints of different steps" in final_event["reason"]
    assert "CNNCTL_RUNS_DIR in a folder that all its hosts share" in final_event["reason"]


@pytest.mark.long
def test_images_decoded_as_they_are_needed_train_as_on_one_host(
    tmp_path: Path, starter: Starter, start_cluster: Callable[..., Cluster], photographs: Path
) -> None:
    fields = {
        "data.dataset": f"folder:{photographs}",
        "data.augment": "crop:0,mirror",
        "data.in_memory_mib": 0,
        "training.batch_size": 8,
        "training.epochs": 2,
    }
    alone = Run(tmp_path / "alone" / "1" / "1", starter).start(gpus=4, threads=4, fields=fields)
    alone.end()
    over = start_cluster(fields=fields)
    assert over.end()["outcome"] == "succeeded"
    assert largest_difference(over.chief.last_checkpoint(), alone.last_checkpoint()) <= 1e-5
