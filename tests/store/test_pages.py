"""What people see of a job is what was stored, whatever characters are in it."""

from collections.abc import Callable, Sequence

import pytest
from rich.console import Console

from service.cli.display.job_page import job_page
from service.cli.display.job_table import job_table
from service.cli.display.result import show_result
from service.cli.terminal import make_console
from service.client.local import LocalClient
from service.commands.jobs.job_list import list_job_page
from service.commands.jobs.status import get_job_view
from service.domain.jobs import Attempt
from service.domain.metrics import Point
from service.domain.people import SCHEDULER
from service.domain.states import Outcome
from service.settings import Settings
from service.store.jobs import attempts, members, metrics
from service.store.jobs.endings import end_attempt
from service.store.transaction import Store
from tests.conftest import ADA

ODD = "cannot open [/data/x] of [red]node[/]"  # rich would read tags in it
Claim = Callable[..., Attempt]


@pytest.fixture
def ended(store: Store, claimed: Claim) -> Callable[..., Attempt]:
    """An attempt that has ended, with a model whose path has brackets."""

    def end(outcome: Outcome, *, reason: str = "") -> Attempt:
        attempt = claimed()
        with store.transaction() as tx:
            metrics.add_points(tx, attempt.id, [Point("loss", 1, 0.5), Point("accuracy", 1, None)])
            attempts.write(tx, attempt, model_path="/data/[lab]/model.keras", weights_digest="d" * 64)
            end_attempt(tx, attempt, outcome, reason=reason, actor=SCHEDULER, retry_limit=0)
        return attempt

    return end


def test_a_reason_with_brackets_is_shown_as_it_is(store: Store, ended: Callable[..., Attempt]) -> None:
    attempt = ended(Outcome.FAILED, reason=ODD)
    console = make_console()
    with console.capture() as page:
        console.print(job_page(get_job_view(store, attempt.job_id)))
    with console.capture() as table:
        console.print(job_table(list_job_page(store).items, []))
    assert page.get().count(ODD) == 3  # of the job, of its attempt, in its history
    assert "not finite" in page.get()
    assert ODD in table.get()


@pytest.mark.parametrize(
    ("others", "shown"),
    [((), "on gpu01"), (("gpu02",), "on gpu01, gpu02"), (("b", "c", "d"), "on gpu01, b +2")],
)
def test_the_hosts_of_a_running_job_are_shown_in_a_line_of_80_columns(
    store: Store, claimed: Claim, add_host: Callable[..., None], others: Sequence[str], shown: str
) -> None:
    attempt = claimed()
    for name in others:
        add_host(name)
    if others:
        with store.transaction() as tx:
            members.create_members(tx, attempt.id, ["gpu01", *others])
    (view,) = list_job_page(store).items
    assert (view.host, view.on_hosts) == ("gpu01", ["gpu01", *others])
    console = Console(width=80)
    with console.capture() as table:
        console.print(job_table([view], []))
    assert table.get().splitlines()[-1].rstrip().endswith(shown)


def test_the_path_of_a_trained_network_is_shown_as_it_is(
    store: Store, settings: Settings, ended: Callable[..., Attempt], capsys: pytest.CaptureFixture[str]
) -> None:
    attempt = ended(Outcome.SUCCEEDED)
    show_result(LocalClient(store, settings, ADA), attempt.job_id, as_json=False)
    shown = capsys.readouterr().out
    assert "/data/[lab]/model.keras" in shown
    assert shown.startswith(f"Job {attempt.job_id} succeeded after 0 epochs\n")


def test_a_job_that_failed_ends_the_command_with_1_and_its_reason(
    store: Store, settings: Settings, ended: Callable[..., Attempt], capsys: pytest.CaptureFixture[str]
) -> None:
    attempt = ended(Outcome.FAILED, reason=ODD)
    with pytest.raises(SystemExit) as end:
        show_result(LocalClient(store, settings, ADA), attempt.job_id, as_json=False)
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert ODD in said
    assert f"cnnctl retry {attempt.job_id}" in said


def test_diagnostics_are_shown_layer_by_layer_with_their_verdicts(
    store: Store, ended: Callable[..., Attempt]
) -> None:
    attempt = ended(Outcome.SUCCEEDED)
    console = make_console()
    with console.capture() as page:
        console.print(job_page(get_job_view(store, attempt.job_id)))
    assert "Diagnostics" not in page.get()
    points = [
        Point(f"layer/{layer}/{quantity}", 40, value)
        for layer, dead in (("hidden2", 0.75), ("hidden10", 0.0))
        for quantity, value in (("gradient_norm", 0.125), ("weight_norm", 3.0), ("dead", dead))
    ]
    with store.transaction() as tx:
        metrics.add_points(tx, attempt.id, points)
    view = get_job_view(store, attempt.job_id)
    assert [(verdict.name, verdict.layer) for verdict in view.verdicts] == [("dead ReLU", "hidden2")]
    with console.capture() as page:
        console.print(job_page(view))
    shown = page.get()
    assert "dead ReLU in hidden2: 0.75 (" in shown
    assert "layer/" not in shown  # not among the plain metrics
    rows = [line for line in shown.splitlines() if line.startswith("hidden")]
    assert [row.split()[0] for row in rows] == ["hidden2", "hidden10"]
    assert "0.125" in rows[0]
