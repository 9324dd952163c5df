"""What an epoch's end decides: learning rate, best so far, early stop; and the state that a resume needs."""

import json

import pytest

from service.domain.spec_request import resolve_spec
from workers.train.schedule import EpochSchedule, read_epoch_state


def schedule(**fields: object) -> EpochSchedule:
    return EpochSchedule(resolve_spec("lenet5", {path.replace("__", "."): v for path, v in fields.items()}))


def rates(made: EpochSchedule, losses: list[float]) -> list[float]:
    found = []
    for epoch, loss in enumerate(losses, start=1):
        found.append(made.start_epoch(epoch))
        made.end_epoch(epoch, {"loss": loss, "val_loss": loss})
    return found


def test_a_constant_rate_stays() -> None:
    assert rates(schedule(schedule__name="constant", optimizer__lr=0.1), [1.0] * 3) == [0.1] * 3


def test_step_drops_by_the_factor_every_so_many_epochs() -> None:
    made = schedule(schedule__name="step", schedule__step_epochs=2, schedule__factor=0.5, optimizer__lr=1.0)
    assert rates(made, [1.0] * 5) == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_cosine_falls_from_the_rate_towards_the_minimum() -> None:
    made = schedule(training__epochs=4, optimizer__lr=1.0, schedule__minimum_lr=0.2)
    assert rates(made, [1.0] * 4) == pytest.approx([1.0, 0.8828427, 0.6, 0.3171573])


def test_plateau_drops_when_the_validation_loss_has_not_improved() -> None:
    made = schedule(
        schedule__name="plateau", schedule__patience_epochs=2, schedule__factor=0.5, optimizer__lr=1.0
    )
    assert rates(made, [3.0, 2.0, 2.0, 2.5, 1.0, 1.0]) == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


def test_early_stopping_waits_its_patience_and_names_the_best_epoch() -> None:
    made = schedule(training__early_stopping__patience_epochs=2)
    best = [
        made.end_epoch(epoch, {"loss": 0, "val_loss": loss}) for epoch, loss in enumerate([2.0, 1.0, 1.0], 1)
    ]
    assert best == [True, True, False]
    assert made.stop_reason(3) == ""
    made.end_epoch(4, {"loss": 0, "val_loss": 1.5})
    assert "no better val_loss for 2 epochs, the best was epoch 2" in made.stop_reason(4)


def test_a_higher_accuracy_and_only_by_the_smallest_change_is_better() -> None:
    made = schedule(
        training__early_stopping__monitor="val_accuracy", training__early_stopping__minimum_change=0.01
    )
    values = [0.5, 0.505, 0.52]
    assert [made.end_epoch(e, {"loss": 0, "val_accuracy": v}) for e, v in enumerate(values, 1)] == [
        True,
        False,
        True,
    ]


def test_the_state_survives_json_so_that_a_resumed_run_decides_the_same() -> None:
    fields = {"schedule__name": "plateau", "schedule__patience_epochs": 1, "optimizer__lr": 1.0}
    whole, first, second = schedule(**fields), schedule(**fields), schedule(**fields)
    losses = [3.0, 4.0, 2.0, 2.0, 2.0]
    expected = rates(whole, losses)
    begun = rates(first, losses[:2])
    second.state = read_epoch_state(json.loads(json.dumps(first.state.to_json())))
    for epoch, loss in enumerate(losses[2:], start=3):
        begun.append(second.start_epoch(epoch))
        second.end_epoch(epoch, {"loss": loss, "val_loss": loss})
    assert begun == expected
    assert second.state == whole.state
