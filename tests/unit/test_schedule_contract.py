"""What every schedule that a spec can name owes; a new name is held to it without a line here."""

import json
from collections.abc import Sequence
from itertools import combinations
from typing import get_args

import pytest

from service.domain.spec import ScheduleSpec
from service.domain.spec_request import resolve_spec
from workers.train.schedule import EpochSchedule, read_epoch_state

NAMES = get_args(ScheduleSpec.model_fields["name"].annotation)
EPOCHS = 25
# It improves for a while, then no more: what every schedule goes by is in it.
LOSSES = [1 / epoch if epoch < 8 else 0.5 for epoch in range(1, EPOCHS + 1)]
every_schedule = pytest.mark.parametrize("name", NAMES)


def make(name: str) -> EpochSchedule:
    return EpochSchedule(resolve_spec("lenet5", {"schedule.name": name, "training.epochs": EPOCHS}))


def run(schedule: EpochSchedule, *, first: int = 1, last: int = EPOCHS) -> Sequence[float]:
    rates = []
    for epoch in range(first, last + 1):
        rates.append(schedule.start_epoch(epoch))
        loss = LOSSES[epoch - 1]
        schedule.end_epoch(epoch, {"loss": loss, "val_loss": loss})
    return rates


@every_schedule
def test_the_rate_begins_as_asked_for_and_never_rises(name: str) -> None:
    rates = run(make(name))
    assert rates[0] == resolve_spec("lenet5", {}).optimizer.lr
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0


@every_schedule
@pytest.mark.parametrize("stopped", [1, 7, 13, EPOCHS - 1])
def test_a_resumed_run_has_the_rates_of_one_that_was_not_stopped(name: str, stopped: int) -> None:
    first, second = make(name), make(name)
    begun = run(first, last=stopped)
    second.state = read_epoch_state(json.loads(json.dumps(first.state.to_json())))
    assert [*begun, *run(second, first=stopped + 1)] == run(make(name))


@pytest.mark.parametrize(("one", "other"), [*combinations(NAMES, 2)])
def test_two_names_are_two_schedules(one: str, other: str) -> None:
    """A name that nothing implements would be trained as another one."""
    assert run(make(one)) != run(make(other))


@every_schedule
def test_a_spec_takes_it_by_its_name(name: str) -> None:
    assert resolve_spec("lenet5", {"schedule.name": name}).schedule.name == name
