"""What is typed into the form of a new job is the submission that its command line makes."""

import shlex
from datetime import datetime, timezone
from typing import Any

import click
import pytest

from cnnctl.views.requests import SubmissionRequest
from service.cli.jobs import submit
from service.domain.spec_request import resolve_spec
from service.errors import SpecError
from service.web.new_errors import place_errors
from service.web.new_request import FieldError, to_command, to_request

SHORT = {
    "architecture": "alexnet",
    "data.dataset": "cifar10",
    "resources.gpus": "2",
    "optimizer.lr": "0.02",
    "training.diagnostics": "true",
    "resources.time_limit_minutes": "90",
}
ODD = {
    "like": "7",
    "model.width": "0.5",
    "training.deterministic": "false",
    "training.diagnostics": "false",
    "checkpoint.every_minutes": "null",
    "data.augment": "crop:4,mirror",
    "name": "it's $HOME",
    "note": "-1 is\nno number",
    "tags": "b, a",
    "priority": "high",
    "after": "3 4",
    "not_before": "2026-11-01T22:00",
    "host": "gpu01",
    "hosts": "2",
    "gpu_model": "h200",
    "exclusive": "yes",
    "hold": "yes",
    "project": "vis ion",
}


@pytest.mark.parametrize("typed", [SHORT, ODD, {"architecture": "lenet5"}, {"like": "3"}])
def test_the_command_line_asks_for_the_same(typed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SubmissionRequest] = []

    class Client:
        """Takes the submission and goes no further."""

        def submit(self, request: SubmissionRequest) -> Any:
            asked.append(request)
            raise click.Abort

    monkeypatch.setattr(submit, "open_client", Client)
    words = shlex.split(to_command(typed))
    with pytest.raises(click.Abort):
        submit.command.main(words[2:], standalone_mode=False)
    (by_command,), by_form = asked, to_request(typed)
    for one in (by_command, by_form):
        assert {type(value) for value in one.fields.values()} <= {str, int, float, bool, type(None)}
    assert dict(by_command.fields) == dict(by_form.fields)
    assert list(by_command.tags) == list(by_form.tags)
    assert list(by_command.after) == list(by_form.after)
    for name in ("architecture", "like", "name", "note", "priority", "project", "not_before", "exclusive"):
        assert getattr(by_command, name) == getattr(by_form, name), name
    for name in ("gpu_model", "host", "hold"):
        assert getattr(by_command, name) == getattr(by_form, name), name
    assert by_command.hosts == by_form.hosts


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert to_request(ODD).not_before == datetime(2026, 11, 1, 22, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("name", "text"),
    [("after", "x"), ("like", "-1"), ("hosts", "²"), ("not_before", "soon"), ("priority", "urgent")],
)
def test_what_a_field_does_not_take_is_said_beside_it(name: str, text: str) -> None:
    with pytest.raises(FieldError) as refused:
        to_request({"architecture": "lenet5", name: text})
    assert list(place_errors(refused.value, (), None, print)) == [name]


@pytest.mark.parametrize(
    ("architecture", "fields", "name"),
    [
        ("alexnt", {}, "architecture"),
        ("alexnet", {"model.dropout": "spatal:0.3"}, "model.dropout"),
        ("alexnet", {"model.dropout": "spatial:3"}, "model.dropout"),
        ("alexnet", {"model.init": "ortho", "model.norm": "batch"}, "model.init"),
        ("alexnet", {"data.dataset": "cifar"}, "data.dataset"),
        ("alexnet", {"training.batch_size": 0}, "training.batch_size"),
        ("alexnet", {"optimizer.name": "sdg"}, "optimizer.name"),
        ("alexnet", {"optimizer.name": "adam", "optimizer.momentum": 0.5}, "optimizer.momentum"),
        ("alexnet", {"resources.gpus": 3}, "training.batch_size"),
        ("alexnet", {"data.image_size": 8}, "data.image_size"),
        ("lenet5", {"model.pool": "max:0/2", "model.head": "gap"}, "model.pool"),
        ("alexnet", {"data.augment": "flip"}, "data.augment"),
        ("alexnet", {"model.width": "a"}, "model.width"),
    ],
)
def test_what_is_wrong_with_a_spec_is_said_beside_the_field(
    architecture: str, fields: dict[str, Any], name: str
) -> None:
    names = {*fields, "training.batch_size", "model.width"}

    def resolve(request: SubmissionRequest) -> object:
        return resolve_spec(str(request.architecture), request.fields)

    request = SubmissionRequest(architecture=architecture, fields=fields)
    with pytest.raises(SpecError) as refused:
        resolve(request)
    placed = place_errors(refused.value, names, request, resolve)
    assert list(placed) == [name]
    assert placed[name] == str(refused.value)
