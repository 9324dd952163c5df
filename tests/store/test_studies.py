"""A study goes from its file to its verdict, whatever becomes of its jobs."""

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from cnnctl.views.requests import StudyRequest
from cnnctl.views.studies import StudyView
from service.client.local import LocalClient
from service.commands.studies import acts
from service.commands.studies.reading import get_evidence, get_report, get_study_view, list_study_views
from service.commands.studies.starting import start_study
from service.db.tables import notifications
from service.domain.jobs import JobId
from service.domain.metrics import Point
from service.domain.people import SCHEDULER, Actor, User
from service.domain.states import Cause, Channel, JobState, Occasion, Outcome, Stage, StudyState
from service.domain.studies.report import make_report
from service.domain.studies.study import StudyId
from service.errors import NotAllowed, SpecError, StudyConflict, StudyNotFound
from service.scheduler.study_progress import advance_studies
from service.settings import Settings
from service.store.jobs import jobs, metrics
from service.store.jobs.endings import end_attempt
from service.store.people import hooks, users
from service.store.studies import studies
from service.store.studies.costs import find_run_seconds
from service.store.transaction import Store
from tests.conftest import ADA, Clock, place
from tests.json_keys import check_keys
from tests.unit.test_study_definition import STUDY

study_module = importlib.import_module("service.cli.studies.study")

TUNED = (
    STUDY.replace('factor = ["optimizer.lr"]', 'factor = ["model.l2"]').replace("optimizer.lr", "model.l2")
    + "[tune]\nseeds = 1\n[tune.grid]\noptimizer.lr = [0.01, 0.1]\n"
)
Finish = Callable[..., None]
Start = Callable[..., StudyView]


@pytest.fixture
def start(store: Store, settings: Settings, add_host: Callable[..., None]) -> Start:
    """Start a study as ada."""
    add_host()

    def begin(toml: str = STUDY, *, actor: Actor = ADA, **asked: object) -> StudyView:
        return start_study(store, settings, StudyRequest(toml=toml, **asked), actor=actor)  # type: ignore[arg-type]

    return begin


@pytest.fixture
def finish(store: Store, clock: Clock) -> Finish:
    """End the queued jobs of a study: each with the accuracy that a function of arm and seed gives."""

    def end(
        study: int,
        accuracy: Callable[[str, int], float],
        *,
        outcome: Outcome = Outcome.SUCCEEDED,
        cause: Cause | None = None,
        most: int = 1000,
    ) -> None:
        with store.reading() as tx:
            open_runs = [run for run in studies.list_runs(tx, StudyId(study)) if not run.has_ended]
        for run in open_runs[:most]:
            assert run.job_id is not None
            with store.transaction() as tx:
                attempt = place(tx, run.job_id, "gpu01-0")
            clock.advance(1.0)
            with store.transaction() as tx:
                value = accuracy(run.arm, run.seed)
                points = [Point("test_accuracy", 9, value), Point("chance_accuracy", 0, 0.1)]
                points += [Point("val_accuracy", step, value) for step in (3, 6, 9)]
                metrics.add_points(tx, attempt.id, points)
                end_attempt(
                    tx, attempt, outcome, cause=cause, reason="it broke", actor=SCHEDULER, retry_limit=0
                )

    return end


def list_jobs(store: Store) -> list[JobState]:
    with store.reading() as tx:
        return [job.state for job in jobs.list_jobs(tx)]


def test_a_study_ends_in_a_verdict(store: Store, start: Start, finish: Finish) -> None:
    study = start()
    assert (study.state, study.runs, study.done, study.scale) == ("running", 12, 0, "quick")
    finish(study.study, lambda arm, seed: 0.9 + 0.001 * seed + (0.02 if arm == "fast" else 0.0), most=5)
    advance_studies(store)
    halfway = get_study_view(store, StudyId(study.study))
    assert (halfway.state, halfway.done) == ("running", 5)
    assert halfway.seconds_left == pytest.approx(7.0)
    assert not get_report(store, StudyId(study.study)).is_complete
    finish(study.study, lambda arm, seed: 0.9 + 0.001 * seed + (0.02 if arm == "fast" else 0.0))
    advance_studies(store)
    assert get_study_view(store, StudyId(study.study)).state == "finished"
    report = get_report(store, StudyId(study.study))
    assert report.is_complete
    assert report.verdict == "confirmed"
    assert report.contrasts[0].mean == pytest.approx(0.02)
    assert report.remarks == []
    assert [point.seed for point in report.contrasts[0].first_points] == list(range(6))


def test_jobs_are_ordinary_ones_of_their_owner(store: Store, start: Start) -> None:
    study = start()
    with store.reading() as tx:
        job = jobs.get_job(tx, JobId(2))
        assert (job.owner, job.scheduling.project, job.name) == ("ada", "study/rate", "rate: fast, seed 0")
        assert job.memory_mib
    assert [one.study for one in list_study_views(store, running=True)] == [study.study]


def test_a_report_can_be_made_anew_from_its_evidence_alone(
    store: Store, start: Start, finish: Finish
) -> None:
    study = start()
    finish(study.study, lambda arm, seed: 0.9 + 0.001 * seed)
    advance_studies(store)
    evidence = get_evidence(store, StudyId(study.study))
    assert make_report(evidence) == get_report(store, StudyId(study.study))
    known = {run.training_digest: run.numbers for run in evidence.runs if run.numbers is not None}
    elsewhere = start(known=known)
    assert (elsewhere.runs, elsewhere.done, elsewhere.shared) == (12, 12, 0)
    advance_studies(store)
    assert get_study_view(store, StudyId(elsewhere.study)).state == "finished"
    with pytest.raises(SpecError, match="no numbers of a run"):
        start(known={"0" * 64: {"last": {"test_accuracy": "high"}}})


def test_what_is_known_is_not_trained_twice(store: Store, start: Start, finish: Finish) -> None:
    first = start()
    finish(first.study, lambda arm, seed: 0.9)
    advance_studies(store)
    again = start(actor=Actor(name="bob"))
    assert (again.done, again.shared) == (12, 12)
    advance_studies(store)
    report = get_report(store, StudyId(again.study))
    assert "12 runs are jobs that an earlier study had run" in report.remarks[0]
    fresh = start(fresh=True)
    assert (fresh.done, fresh.shared) == (0, 0)


def test_each_arm_is_measured_with_what_was_best_for_it(store: Store, start: Start, finish: Finish) -> None:
    study = start(TUNED)
    assert study.runs == 4
    with store.reading() as tx:
        tuning = studies.list_runs(tx, StudyId(study.study))
    best = {"slow": 0.1, "fast": 0.01}
    rates = {run.job_id: run.tuned["optimizer.lr"] for run in tuning}

    def score(arm: str, seed: int) -> float:
        return next(score_of)

    score_of = iter([0.9 if rates[run.job_id] == best[run.arm] else 0.5 for run in tuning])
    finish(study.study, score)
    advance_studies(store)
    with store.reading() as tx:
        measured = [run for run in studies.list_runs(tx, StudyId(study.study)) if run.stage is Stage.MEASURE]
        assert jobs.get_job(tx, measured[0].job_id or JobId(0)).memory_mib
    assert len(measured) == 12
    assert {(run.arm, run.tuned["optimizer.lr"]) for run in measured} == set(best.items())
    finish(study.study, lambda arm, seed: 0.9)
    advance_studies(store)
    report = get_report(store, StudyId(study.study))
    assert {arm.name: arm.tuned["optimizer.lr"] for arm in report.arms} == best
    assert report.verdict == "equal"


def test_an_arm_that_diverges_is_a_result(store: Store, start: Start, finish: Finish) -> None:
    study = start()
    finish(study.study, lambda arm, seed: 0.5, outcome=Outcome.FAILED, cause=Cause.NAN_LOSS)
    advance_studies(store)
    report = get_report(store, StudyId(study.study))
    assert get_study_view(store, StudyId(study.study)).state == "finished"
    assert [arm.diverged for arm in report.arms] == [6, 6]
    assert {point.value for point in report.contrasts[0].first_points} == {0.1}


def test_three_equal_failures_hold_a_study_until_it_is_rerun(
    store: Store, start: Start, finish: Finish
) -> None:
    study = start()
    finish(study.study, lambda arm, seed: 0.5, outcome=Outcome.FAILED, cause=Cause.ERROR, most=3)
    advance_studies(store)
    held = get_study_view(store, StudyId(study.study))
    assert held.state == "held"
    assert "3 runs in a row have failed alike: failed: it broke" in held.reason
    assert list_jobs(store).count(JobState.PAUSED) == 9
    again = acts.rerun_study(store, StudyId(study.study), actor=ADA)
    assert (again.state, again.failed) == ("running", 0)
    assert set(list_jobs(store)) == {JobState.QUEUED}
    finish(study.study, lambda arm, seed: 0.9)
    advance_studies(store)
    assert get_study_view(store, StudyId(study.study)).state == "finished"
    with pytest.raises(StudyConflict, match="Nothing of study 1 is left"):
        acts.rerun_study(store, StudyId(study.study), actor=ADA)


def test_a_hole_is_said_and_its_pair_left_out(store: Store, start: Start, finish: Finish) -> None:
    study = start()
    finish(study.study, lambda arm, seed: 0.5, outcome=Outcome.FAILED, cause=Cause.ERROR, most=1)
    advance_studies(store)
    finish(study.study, lambda arm, seed: 0.9)
    advance_studies(store)
    report = get_report(store, StudyId(study.study))
    assert report.contrasts[0].pairs == 5
    assert "1 runs have no result: failed: it broke" in report.remarks[0]


def test_a_study_that_is_extended_says_so(store: Store, start: Start, finish: Finish) -> None:
    study = start()
    finish(study.study, lambda arm, seed: 0.9)
    advance_studies(store)
    longer = acts.extend_study(store, StudyId(study.study), seeds=8, actor=ADA)
    assert (longer.state, longer.runs, longer.planned_seeds) == ("running", 16, 6)
    finish(study.study, lambda arm, seed: 0.9)
    advance_studies(store)
    report = get_report(store, StudyId(study.study))
    assert report.is_complete
    assert report.contrasts[0].pairs == 8
    assert "6 seeds were decided beforehand, 8 were run" in report.remarks[0]
    with pytest.raises(SpecError, match="has 8 seeds"):
        acts.extend_study(store, StudyId(study.study), seeds=8, actor=ADA)


def test_a_cancelled_study_cancels_its_jobs_and_can_go_on(store: Store, start: Start, finish: Finish) -> None:
    study = start()
    finish(study.study, lambda arm, seed: 0.9, most=2)
    advance_studies(store)
    cancelled = acts.cancel_study(store, StudyId(study.study), actor=ADA)
    assert cancelled.state == "cancelled"
    assert list_jobs(store).count(JobState.CANCELLED) == 10
    with pytest.raises(StudyConflict, match="it is cancelled"):
        acts.cancel_study(store, StudyId(study.study), actor=ADA)
    assert acts.rerun_study(store, StudyId(study.study), actor=ADA).state == "running"
    finish(study.study, lambda arm, seed: 0.9)
    advance_studies(store)
    assert get_report(store, StudyId(study.study)).is_complete


def test_the_hooks_of_the_owner_hear_of_jobs_that_are_cancelled_with_their_study(
    store: Store, start: Start
) -> None:
    with store.transaction() as tx:
        hooks.add_hook(
            tx, "ada", channel=Channel.WEBHOOK, address="http://127.0.0.1:9/", occasions=[Occasion.END]
        )
    study = start()
    acts.cancel_study(store, StudyId(study.study), actor=ADA)
    with store.reading() as tx:
        assert tx.connection.execute(select(func.count()).select_from(notifications)).scalar() == 12


def test_what_a_study_costs_is_what_its_newest_runs_took_here(
    store: Store, start: Start, finish: Finish
) -> None:
    first = start()
    finish(first.study, lambda arm, seed: 0.9, most=4)
    advance_studies(store)
    start()  # nothing of it has ended but what it shares
    with store.reading() as tx:
        assert find_run_seconds(tx) == {(first.digest, "quick"): pytest.approx(1.0)}


def test_a_study_is_its_owners(store: Store, start: Start) -> None:
    study = start()
    bob = Actor(name="bob")
    for act in (acts.cancel_study, acts.rerun_study):
        with pytest.raises(NotAllowed, match="ada's"):
            act(store, StudyId(study.study), actor=bob)
    with pytest.raises(NotAllowed):
        acts.extend_study(store, StudyId(study.study), seeds=9, actor=bob)
    with pytest.raises(StudyNotFound, match="The newest is 1"):
        acts.cancel_study(store, StudyId(7), actor=ADA)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"scale": "huge"}, "no scale 'huge'. Its scales: quick, standard"),
        ({"seeds": 5}, "fewer never give a verdict"),
        ({"seeds": 100_000}, "from 6 to 1,000"),
    ],
)
def test_nothing_is_half_queued(store: Store, start: Start, asked: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        start(**asked)
    assert list_jobs(store) == []
    assert list_study_views(store) == []


def test_a_quota_counts_all_its_jobs(store: Store, start: Start) -> None:
    with store.transaction() as tx:
        users.set_user(tx, replace(User(name="ada"), max_queued=11))
    with pytest.raises(SpecError, match="may have 11 jobs waiting, and has 0: 12 more are too many"):
        start()
    assert list_jobs(store) == []


def test_a_broken_study_is_held_and_stops_no_other(store: Store, start: Start, finish: Finish) -> None:
    broken, fine = start(TUNED), start()
    with store.transaction() as tx:
        tx.connection.exec_driver_sql(f"UPDATE studies SET definition = '[]' WHERE id = {broken.study}")
    finish(broken.study, lambda arm, seed: 0.9)
    finish(fine.study, lambda arm, seed: 0.9)
    advance_studies(store)
    assert get_study_view(store, StudyId(fine.study)).state == "finished"
    held = get_study_view(store, StudyId(broken.study))
    assert held.state == StudyState.HELD.value
    assert "it cannot go on" in held.reason


@pytest.fixture
def run(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `cnnctl study` on the store, as ada."""
    monkeypatch.setattr(study_module, "open_client", lambda: LocalClient(store, settings, ADA))
    return lambda *words: CliRunner().invoke(study_module.command, [str(word) for word in words])


def test_the_command_line_shows_what_a_study_came_to(
    store: Store, start: Start, finish: Finish, run: Callable[..., Result], tmp_path: Path
) -> None:
    study = start().study
    finish(study, lambda arm, seed: 0.9 + 0.001 * seed + (0.02 if arm == "fast" else 0.0))
    advance_studies(store)
    text = run("report", study).stdout
    assert text.splitlines()[:2] == [
        "A larger rate learns faster.",
        "Confirmed: test_accuracy of fast is higher than that of slow: "
        "exactly +0.0200 in each pair, 6 pairs, p = 0.031.",
    ]
    assert "Decided beforehand: 6 seeds, margin 0.01 in test_accuracy" in text
    assert "12/12" in run("status").stdout
    exported = tmp_path / "study.json"
    assert run("export", study, "--output", exported).exit_code == 0
    assert run("report", exported).stdout == text
    assert run("report", tmp_path / "no.json").exit_code
    for form in ("md", "html"):
        assert run("report", study, "--format", form, "--output", tmp_path / form).exit_code == 0
        assert "Confirmed: test_accuracy of fast" in (tmp_path / form / f"rate.{form}").read_text()
    assert (tmp_path / "md" / "rate.svg").read_text().count("<svg") == 1


def test_what_is_printed_is_what_is_documented(
    store: Store, start: Start, finish: Finish, run: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "rate.toml"
    file.write_text(STUDY)
    start()
    check_keys(json.loads(run("run", file, "--json").stdout), "study run STUDY")
    finish(2, lambda arm, seed: 0.9)
    advance_studies(store)
    check_keys(json.loads(run("list", "--json").stdout), "study list")
    check_keys(json.loads(run("status", "--json").stdout), "study status")
    check_keys(json.loads(run("report", 2, "--json").stdout), "study report STUDY")
    check_keys(json.loads(run("export", 2).stdout), "cnnctl study export STUDY")
    assert json.loads(run("cancel", 1, "--json").stdout)["state"] == "cancelled"
    assert "Study 1 is running: 0 of 12" in run("rerun", 1).stdout
