"""Events go from a trainer's log into SQL exactly once, whoever reads them."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from service.domain.checkpoints import Checkpoint
from service.domain.jobs import Attempt
from service.domain.metrics import STALL
from service.domain.people import SCHEDULER
from service.domain.run_folder import CHECKPOINTS_DIR, checkpoint_name
from service.domain.states import AttemptState, CheckpointKind, Outcome
from service.errors import DatabaseUnavailable, Fenced
from service.store.jobs import attempts, checkpoints, figures, logs, metrics
from service.store.jobs.endings import end_attempt
from service.store.people import audit
from service.store.transaction import Store
from workers.attempts.ingest import Ingester, read_tail
from workers.attempts.pruning import prune_checkpoints

Claim = Callable[..., Attempt]


@pytest.fixture
def attempt(store: Store, claimed: Claim, tmp_path: Path) -> Attempt:
    taken = claimed()
    with store.transaction() as tx:
        attempts.write(tx, taken, run_dir=str(tmp_path))
        return attempts.get_attempt(tx, taken.id)


def write(folder: Path, *events: object, end: str = "\n") -> None:
    with (folder / "events.jsonl").open("a") as file:
        file.write("\n".join(json.dumps(event) for event in events) + end)


def points(step: int, loss: float | None) -> object:
    return {"kind": "points", "at": 0, "step": step, "values": {"loss": loss}}


def test_events_become_rows_once_even_for_a_new_reader(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    started = {"kind": "started", "at": 0, "step": 0, "exact": True, "note": ""}
    write(tmp_path, started, points(1, 0.5), points(2, None))
    ingester = Ingester(store, attempt, actor=SCHEDULER)
    assert ingester.ingest()
    assert not ingester.ingest()
    with store.reading() as tx:
        stored = attempts.get_attempt(tx, attempt.id)
    assert (stored.state, stored.start_step) == (AttemptState.RUNNING, 0)
    write(tmp_path, points(3, 0.25))
    again = Ingester(store, stored, actor=SCHEDULER)
    assert again.ingest()
    assert not again.ingest()
    with store.reading() as tx:
        assert metrics.list_series(tx, attempt.job_id) == {"loss": [(1, 0.5), (2, None), (3, 0.25)]}


def test_stalls_and_a_resume_that_is_not_exact_are_summed_once(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    write(tmp_path, {"kind": "started", "at": 0, "step": 8, "exact": False, "note": "not exact: Keras"})
    for step in (9, 10):
        write(tmp_path, {"kind": "points", "at": 0, "step": step, "values": {STALL: 0.25, "loss": 1.0}})
    assert Ingester(store, attempt, actor=SCHEDULER).ingest()
    behind = Ingester(store, attempt, actor=SCHEDULER)  # as after a commit without an answer
    write(tmp_path, {"kind": "points", "at": 0, "step": 11, "values": {STALL: 0.5}})
    assert behind.ingest()
    with store.reading() as tx:
        assert figures.sum_checkpointing(tx) == (3, 1.0, 1)


def test_half_a_line_waits_for_its_other_half(store: Store, attempt: Attempt, tmp_path: Path) -> None:
    line = json.dumps(points(1, 0.5))
    (tmp_path / "events.jsonl").write_text(line[:20])
    ingester = Ingester(store, attempt, actor=SCHEDULER)
    assert not ingester.ingest()
    (tmp_path / "events.jsonl").write_text(line + "\n")
    assert ingester.ingest()


def test_a_log_that_was_removed_or_cut_short_is_noticed_once_something_of_it_was_stored(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    ingester = Ingester(store, attempt, actor=SCHEDULER)
    assert not ingester.has_lost_log()
    write(tmp_path, points(1, 0.5))
    assert ingester.ingest()
    assert not ingester.has_lost_log()
    whole = (tmp_path / "events.jsonl").read_bytes()
    (tmp_path / "events.jsonl").write_bytes(whole[:-5])
    assert ingester.has_lost_log()
    (tmp_path / "events.jsonl").unlink()
    assert ingester.has_lost_log()


def test_a_worker_that_lost_the_attempt_stores_nothing(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    write(tmp_path, points(1, 0.5))
    with store.transaction() as tx:
        attempts.adopt(tx, attempt, worker="w2")
    with pytest.raises(Fenced):
        Ingester(store, attempt, actor=SCHEDULER).ingest()
    with store.reading() as tx:
        assert metrics.list_series(tx, attempt.job_id) == {}


def test_checkpoints_epochs_progress_and_the_last_word_are_kept(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    def own(step: int) -> str:
        return str(tmp_path / CHECKPOINTS_DIR / checkpoint_name(step))

    common = {"at": 0, "step": 4, "epoch": 2}
    numbers = {"epochs": 3, "steps_per_epoch": 4, "images_per_second": 9.0, "loss": 1.0, "accuracy": 0.5}
    write(
        tmp_path,
        {"kind": "checkpoint", **common, "best": True, "bytes": 9, "digest": "d", "path": own(4)},
        {"kind": "checkpoint", **common, "step": 8, "best": False, "bytes": 9, "digest": "d", "path": own(8)},
        {"kind": "epoch", "at": 0, "epoch": 2},
        {"kind": "progress", **common, **numbers},
        {
            "kind": "ended",
            "at": 0,
            "outcome": "succeeded",
            "reason": "",
            "weights_digest": "w",
            "model": str(tmp_path / "model.keras"),
        },
    )
    ingester = Ingester(store, attempt, actor=SCHEDULER)
    ingester.ingest()
    assert ingester.ended is not None
    assert ingester.ended.outcome is Outcome.SUCCEEDED
    with store.reading() as tx:
        stored = attempts.get_attempt(tx, attempt.id)
        assert [c.path for c in checkpoints.list_checkpoints(tx, attempt.job_id)] == [own(8), own(4)]
    assert (stored.epochs_completed, stored.weights_digest, stored.model_path) == (
        2,
        "w",
        str(tmp_path / "model.keras"),
    )
    assert stored.progress is not None
    assert stored.progress.images_per_second == 9.0


def test_the_end_of_a_long_log_is_kept_from_the_start_of_a_line(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    lines = [f"line {number:06d} é" for number in range(10_000)]
    (tmp_path / "trainer.log").write_text("\n".join(lines))
    Ingester(store, attempt, actor=SCHEDULER).store_log_tail()
    with store.reading() as tx:
        tail = logs.get_log_tail(tx, attempt.id)
    assert tail == read_tail(tmp_path / "trainer.log")
    assert 60_000 < len(tail.encode()) <= logs.TAIL_BYTES
    assert tail.startswith("line ")
    assert tail.endswith(lines[-1])


def test_rows_whose_commit_was_not_answered_are_not_stored_again(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    write(tmp_path, points(1, 0.5))
    unanswered, other = (Ingester(store, attempt, actor=SCHEDULER) for _ in range(2))
    assert other.ingest()
    write(tmp_path, points(2, 0.25))
    assert unanswered.ingest()
    with store.reading() as tx:
        assert metrics.list_series(tx, attempt.job_id) == {"loss": [(1, 0.5), (2, 0.25)]}


def test_a_final_event_that_an_earlier_worker_stored_is_known(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    write(tmp_path, {"kind": "ended", "at": 0, "outcome": "failed", "reason": "diverged"})
    Ingester(store, attempt, actor=SCHEDULER).ingest()
    with store.reading() as tx:
        later = Ingester(store, attempts.get_attempt(tx, attempt.id), actor=SCHEDULER)
    later.read_final_event()
    assert later.ended is not None
    assert later.ended.reason == "diverged"


def test_checkpoints_go_when_newer_ones_are_stored_and_the_best_stays(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    folder = tmp_path / CHECKPOINTS_DIR
    for step in range(1, 7):
        (folder / f"step-{step}").mkdir(parents=True)
    ingester = Ingester(store, attempt, actor=SCHEDULER)
    for step in range(1, 7):
        path = str(folder / f"step-{step}")
        event = {"kind": "checkpoint", "at": 0, "step": step, "epoch": 1, "bytes": 9, "digest": "d"}
        write(tmp_path, {**event, "best": step == 2, "path": path})
        if step % 2 == 0:  # two at a time, so that more than one has to go
            ingester.ingest()
    with store.reading() as tx:
        left = [Path(c.path).name for c in checkpoints.list_checkpoints(tx, attempt.job_id)]
    assert left == ["step-6", "step-5", "step-2"]
    assert sorted(path.name for path in folder.glob("step-*")) == sorted(left)


def test_a_path_that_is_not_the_attempts_own_is_not_stored(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    folder, elsewhere = tmp_path / CHECKPOINTS_DIR, tmp_path / "another"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "step-5").symlink_to(elsewhere)
    common = {"kind": "checkpoint", "at": 0, "step": 1, "epoch": 1, "best": False, "bytes": 9, "digest": "d"}
    for path in (
        "/etc",
        str(tmp_path),
        str(folder),
        f"{folder}/step-5",
        f"{folder}/../step-1",
        f"{folder}/x",
    ):
        write(tmp_path, {**common, "path": path})
    for path in ("/etc/passwd", f"{folder}/step-1/model.keras", f"{tmp_path}/../model.keras"):
        ended = {"kind": "ended", "at": 0, "outcome": "succeeded", "reason": "", "weights_digest": "w"}
        write(tmp_path, {**ended, "model": path})
    Ingester(store, attempt, actor=SCHEDULER).ingest()
    with store.reading() as tx:
        assert checkpoints.list_checkpoints(tx, attempt.job_id) == []
        assert attempts.get_attempt(tx, attempt.id).model_path is None


def test_a_row_with_a_foreign_path_makes_the_worker_delete_nothing_there(
    store: Store, claimed: Claim, tmp_path: Path
) -> None:
    attempt = claimed(runs_dir=str(tmp_path / "runs"))
    folder = Path(attempt.run_dir) / CHECKPOINTS_DIR
    other_job = tmp_path / "runs" / "77" / "1" / CHECKPOINTS_DIR / checkpoint_name(1)
    private = tmp_path / "private" / "1" / CHECKPOINTS_DIR / checkpoint_name(1)
    link, own = folder / checkpoint_name(9), [folder / checkpoint_name(step) for step in range(1, 5)]
    for path in (other_job, private, *own):
        path.mkdir(parents=True)
        (path / "kept").touch()
    link.symlink_to(private)
    around = f"{folder}/../../../77/1/{CHECKPOINTS_DIR}/{checkpoint_name(1)}"
    foreign = [str(tmp_path / "private"), str(private), str(other_job), attempt.run_dir, str(folder)]
    foreign += [str(link), around, "/", ""]
    with store.transaction() as tx:
        for step, place in enumerate([*map(str, own), *foreign], start=1):
            values = {"epoch": 1, "kind": CheckpointKind.LAST, "bytes": 1, "digest": "d"}
            checkpoints.add_checkpoint(tx, attempt.id, Checkpoint(step=step, path=place, **values))  # type: ignore[arg-type]
    prune_checkpoints(store, attempt)
    assert [(path / "kept").exists() for path in (other_job, private)] == [True, True]
    # Two are to be kept, and foreign rows take the place of none.
    assert [path.exists() for path in own] == [False, False, True, True]
    with store.reading() as tx:
        left = {checkpoint.path for checkpoint in checkpoints.list_checkpoints(tx, attempt.job_id)}
    assert left == {*foreign, *map(str, own[2:])}


def test_what_a_later_attempt_wrote_is_newer_than_a_later_step_of_an_earlier_one(
    store: Store, attempt: Attempt, claimed: Claim
) -> None:
    def written(step: int) -> Checkpoint:
        return Checkpoint(step=step, epoch=1, kind=CheckpointKind.LAST, bytes=1, digest="d", path=f"/{step}")

    with store.transaction() as tx:
        checkpoints.add_checkpoint(tx, attempt.id, written(80))  # damaged, as the next attempt finds
        checkpoints.add_checkpoint(tx, attempt.id, written(40))
        end_attempt(tx, attempt, Outcome.INTERRUPTED, reason="", actor=SCHEDULER, retry_limit=3)
    second = claimed(attempt.job_id)
    with store.transaction() as tx:
        checkpoints.add_checkpoint(tx, second.id, written(50))
        found = checkpoints.list_checkpoints(tx, attempt.job_id)
    assert [checkpoint.step for checkpoint in found] == [50, 80, 40]


def test_nul_in_words_becomes_a_visible_mark(store: Store, attempt: Attempt, tmp_path: Path) -> None:
    write(tmp_path, {"kind": "stage", "at": 0, "text": "reading a\x00b"})
    Ingester(store, attempt, actor=SCHEDULER).ingest()
    with store.reading() as tx:
        assert attempts.get_attempt(tx, attempt.id).reason == "reading a\u2400b"


def test_a_name_that_is_no_text_is_stored_as_one_can_read_it(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    """A trainer of before names were escaped."""
    note = os.fsdecode(b"caf\xe9.png cannot be read")
    write(tmp_path, {"kind": "started", "at": 0, "step": 0, "exact": True, "note": note})
    write(tmp_path, {"kind": "stage", "at": 0, "text": note})
    assert Ingester(store, attempt, actor=SCHEDULER).ingest()
    with store.reading() as tx:
        assert attempts.get_attempt(tx, attempt.id).reason == "caf\\xe9.png cannot be read"
        assert audit.list_entries(tx, attempt.job_id)[-1].detail.endswith("; caf\\xe9.png cannot be read")


def test_the_last_word_is_known_though_the_database_goes_away_before_pruning(
    store: Store, attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = {"kind": "checkpoint", "at": 0, "step": 4, "epoch": 2, "best": True, "bytes": 9}
    write(tmp_path, {**checkpoint, "digest": "d", "path": "/c4"})
    write(tmp_path, {"kind": "ended", "at": 0, "outcome": "failed", "reason": "diverged"})

    def gone(*_: object) -> None:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr("workers.attempts.ingest.prune_checkpoints", gone)
    ingester = Ingester(store, attempt, actor=SCHEDULER)
    with pytest.raises(DatabaseUnavailable):
        ingester.ingest()
    assert not ingester.ingest()
    assert ingester.ended is not None


def test_a_line_that_is_no_event_costs_nothing_but_itself(
    store: Store, attempt: Attempt, tmp_path: Path
) -> None:
    write(tmp_path, points(1, 0.5), {"kind": "applause", "at": 0}, {"kind": "epoch", "epoch": "two"})
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b"\xff\x00 no JSON\n" + b"[" * 50_000 + b"\n")
    write(tmp_path, points(2, 0.25))
    assert Ingester(store, attempt, actor=SCHEDULER).ingest()
    with store.reading() as tx:
        assert metrics.list_series(tx, attempt.job_id) == {"loss": [(1, 0.5), (2, 0.25)]}
