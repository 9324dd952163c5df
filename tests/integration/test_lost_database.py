"""The embedded database's file is deleted or replaced while a stack uses it."""

import fcntl
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from service.commands.ops import embedded_stack
from service.commands.ops.embedded_stack import running_stack
from service.errors import CnnctlError, DatabaseGone, DatabaseUnavailable, NoTables
from service.settings import load_settings
from service.store.jobs import jobs
from service.store.transaction import Store, open_store
from tests.servers import wait_until

Cnnctl = Callable[..., Result]


def test_a_file_that_is_gone_or_replaced_is_said_and_one_that_is_back_is_used_again(home: Path) -> None:
    path, aside = home / "cnnctl.db", home / "aside"
    with closing(open_store(f"sqlite:///{path}")) as store:
        with store.reading() as tx:
            assert jobs.list_jobs(tx) == []
        assert store.explain_loss() == ""
        path.rename(aside)
        with pytest.raises(DatabaseGone, match=r"cnnctl\.db.*is gone\. Put it back"), store.reading():
            pass
        assert not path.exists()
        shutil.copyfile(aside, path)
        with pytest.raises(DatabaseGone, match="was replaced by another file"), store.transaction():
            pass
        with pytest.raises(DatabaseGone):
            store.upgrade()
        aside.rename(path)
        with store.transaction() as tx:
            assert jobs.list_jobs(tx) == []


def test_a_disk_that_does_not_say_whether_the_file_is_there_is_an_outage_like_others(home: Path) -> None:
    with closing(open_store(f"sqlite:///{home / 'cnnctl.db'}")) as store:
        with store.reading():
            pass
        home.rename(home.with_name("aside"))
        home.symlink_to(home)  # a circle of links: neither there nor missing
        words = r"cnnctl\.db.*cannot be checked \(Too many levels of symbolic links\)"
        with pytest.raises(DatabaseUnavailable, match=words), store.transaction():
            pass
        home.unlink()
        home.with_name("aside").rename(home)
        with store.transaction():
            pass


def test_looking_at_a_database_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cnnctl.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        with pytest.raises(NoTables, match="cnnctl db upgrade"):
            store.check_revision()
        with pytest.raises(DatabaseUnavailable), store.reading():
            pass
        assert not path.exists()
        store.upgrade()
        store.check_revision()


@pytest.mark.parametrize("words", [["status"], ["submit", "lenet5"], ["up"], ["db", "upgrade"]])
@pytest.mark.parametrize("lock", ["up.lock", "worker-gpu01.lock"])
def test_no_command_makes_a_new_database_beside_a_stack_that_has_lost_its_own(
    cnnctl: Cnnctl, home: Path, words: list[str], lock: str
) -> None:
    (home / "cnnctl.db").unlink()
    (home / "runs" / "1").mkdir(parents=True)
    with (home / lock).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "somebody has deleted it" in cnnctl(*words, code=1).stderr
        assert not (home / "cnnctl.db").exists()


def test_doctor_advises_no_new_database_to_a_stack_that_has_lost_its_own(cnnctl: Cnnctl, home: Path) -> None:
    (home / "cnnctl.db").unlink()
    with (home / "up.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = cnnctl("doctor", code=1).stdout
    assert "somebody has deleted it" in " ".join(said.split())
    assert "db upgrade" not in said


def test_a_new_database_where_jobs_were_trained_before_is_said(cnnctl: Cnnctl, home: Path) -> None:
    (home / "cnnctl.db").unlink()
    (home / "up.lock").touch()
    (home / "runs" / "1").mkdir(parents=True)
    assert "a new one counts jobs from 1 again" in cnnctl("status").stderr
    assert cnnctl("status").stderr == ""


@pytest.mark.parametrize("all_of_it", [False, True], ids=["the database", "the whole data folder"])
def test_a_stack_whose_database_is_deleted_says_so_and_ends(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    all_of_it: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(embedded_stack, "GONE_SECONDS", 1.0)
    for name, value in {"HOME": home, "GPUS": "sim:1", "START_METHOD": "spawn", "GRACE_SECONDS": 1}.items():
        monkeypatch.setenv(f"CNNCTL_{name}", str(value))
    settings = load_settings()

    def serve(store: Store) -> None:
        with running_stack(store, settings) as stack:
            assert stack.supervise() == ""
            shutil.rmtree(home) if all_of_it else (home / "cnnctl.db").unlink()
            assert "is gone. Put it back" in stack.supervise()
            wait_until(lambda: not stack.supervise())

    with closing(open_store(settings.database_url)) as store:
        with pytest.raises(CnnctlError, match="is gone") as ended:
            serve(store)
    assert all_of_it or "for 1 s. Nothing can be stored, so the stack ends" in str(ended.value)
