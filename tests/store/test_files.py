"""The files of a job are given out whole, with their digests; a trainer's link opens nothing else."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnctl.views.codec import to_json
from service.commands.jobs.files import PART_BYTES, _digests, _find_digest, list_files, open_file
from service.domain.jobs import Attempt
from service.domain.run_folder import LOG_FILE, SPEC_FILE
from service.domain.states import Outcome
from service.errors import FileNotThere
from service.settings import Settings
from service.store.transaction import Store
from tests.json_keys import check_keys

AddRun = Callable[..., Attempt]


def test_every_file_is_listed_with_its_size_and_digest(
    store: Store, settings: Settings, add_run: AddRun
) -> None:
    number = add_run(Outcome.SUCCEEDED).job_id
    found = {file.name: file for file in list_files(store, settings, number)}
    assert {SPEC_FILE, LOG_FILE, "checkpoint-3.state.safetensors", "checkpoint-3.manifest.json"} <= set(found)
    for name, file in found.items():
        with open_file(store, settings, number, name) as opened:
            content = opened.read()
        assert (file.bytes, file.digest) == (len(content), hashlib.sha256(content).hexdigest())
    check_keys(json.loads(json.dumps(to_json(list(found.values())))), "download JOB --list")


def test_a_log_that_still_grows_has_no_digest(store: Store, settings: Settings, add_run: AddRun) -> None:
    found = {file.name: file for file in list_files(store, settings, add_run().job_id)}
    assert found[LOG_FILE].digest is None
    assert found[SPEC_FILE].digest is not None


def test_a_file_that_pretends_to_be_huge_is_listed_without_the_time_that_reading_it_takes(
    store: Store, settings: Settings, add_run: AddRun
) -> None:
    """A trainer makes one of a terabyte with one call, and it takes no room on the disk."""
    attempt = add_run(Outcome.SUCCEEDED)
    with (Path(attempt.run_dir) / SPEC_FILE).open("r+b") as spec:
        spec.truncate(1024**4)
    found = {file.name: file for file in list_files(store, settings, attempt.job_id)}
    assert (found[SPEC_FILE].bytes, found[SPEC_FILE].digest) == (1024**4, None)


def test_a_name_that_no_file_has_is_refused_without_reading_those_that_there_are(
    store: Store, settings: Settings, add_run: AddRun
) -> None:
    number = add_run(Outcome.SUCCEEDED).job_id
    before = dict(_digests)
    with pytest.raises(FileNotThere, match=SPEC_FILE):
        open_file(store, settings, number, "nothing")
    assert _digests == before


def test_a_file_that_grows_while_it_is_read_has_the_digest_of_what_there_was(tmp_path: Path) -> None:
    """Else a trainer that writes as fast as the service reads would keep it reading for ever."""
    path = tmp_path / "best.keras"
    path.write_bytes(b"x" * PART_BYTES)
    with path.open("rb") as file, path.open("ab") as more:
        read = file.read

        def read_while_it_grows(count: int) -> bytes:
            part = read(count)
            more.write(b"y" * PART_BYTES)
            more.flush()
            assert path.stat().st_size < 9 * PART_BYTES
            return part

        growing = SimpleNamespace(fileno=file.fileno, read=read_while_it_grows)
        assert _find_digest(growing) == hashlib.sha256(b"x" * PART_BYTES).hexdigest()  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["link to a file", "link to a folder", "pipe", "folder"])
def test_what_a_trainer_put_in_the_place_of_a_file_is_not_given_out(
    store: Store, settings: Settings, add_run: AddRun, tmp_path: Path, how: str
) -> None:
    attempt = add_run(Outcome.SUCCEEDED)
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / LOG_FILE).write_text("the database's password")
    log = Path(attempt.run_dir) / LOG_FILE
    log.unlink()
    if how == "link to a file":
        log.symlink_to(secret / LOG_FILE)
    elif how == "link to a folder":
        log.parent.rename(log.parent.with_name("before"))
        log.parent.symlink_to(secret)
    elif how == "pipe":
        os.mkfifo(log)
    else:
        log.mkdir()
    assert LOG_FILE not in {file.name for file in list_files(store, settings, attempt.job_id)}
    with pytest.raises(FileNotThere, match=rf"Job 1 has no file '{LOG_FILE}' that can be read here"):
        open_file(store, settings, attempt.job_id, LOG_FILE)


@pytest.mark.parametrize("name", ["../../cnnctl.db", "/etc/passwd", "", "events.jsonl", "x" * 5000, "\x00"])
def test_a_name_that_is_not_listed_opens_nothing(
    store: Store, settings: Settings, add_run: AddRun, name: str
) -> None:
    with pytest.raises(FileNotThere, match="It has: "):
        open_file(store, settings, add_run(Outcome.SUCCEEDED).job_id, name)
