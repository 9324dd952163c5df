"""Looks at everything the service stands on; each finding says what is wrong and how to mend it."""

import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from service.commands.health import check_health
from service.db.engine import sqlite_wal_is_safe
from service.dispatch import Dispatcher
from service.errors import CnnctlError
from service.settings import Settings, load_settings
from service.store import hosts
from service.store.transaction import Store, open_store

GIB = 1024**3
LEAST_FREE_GIB = 2
PACKAGES = ("cnnctl", "tensorflow", "tensorflow-cpu", "keras", "celery", "sqlalchemy", "psycopg", "redis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `mend` says what to do and is empty when all is well."""

    subject: str
    found: str
    mend: str = ""


def examine() -> Iterator[Finding]:
    """Yield one finding after the other; a check that breaks is a finding too."""
    yield Finding(subject="python", found=f"{platform.python_version()} on {platform.platform()}")
    yield from _check_packages()
    try:
        settings = load_settings()
    except CnnctlError as error:
        yield Finding(subject="settings", found=str(error), mend="correct the variable")
        return
    yield from _check_folders(settings)
    yield from _check_database(settings)
    yield _guarded("broker", lambda: _check_broker(settings))


def examine_process(name: str) -> Finding:
    """Whether the scheduler, or the worker of this host, was heard lately."""
    settings = load_settings()
    store = open_store(settings.database_url)
    store.check_revision()
    health = check_health(store, settings)
    heard = health.scheduler if name == "scheduler" else settings.host_name in health.hosts
    return Finding(
        subject=name, found="heard" if heard else "not heard", mend="" if heard else "look at its log"
    )


def _check_packages() -> Iterator[Finding]:
    found = {name: _version(name) for name in PACKAGES}
    text = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    trains = found["keras"] and (found["tensorflow"] or found["tensorflow-cpu"])
    mend = "" if trains else "to train on this host: pip install 'cnnctl[gpu]' or 'cnnctl[cpu]'"
    yield Finding(subject="packages", found=text, mend=mend)


def _check_folders(settings: Settings) -> Iterator[Finding]:
    for subject, folder in (("data folder", settings.home_dir), ("run folders", settings.runs_dir)):
        yield _guarded(subject, partial(_check_folder, subject, folder))


def _check_folder(subject: str, folder: Path) -> Finding:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    free = shutil.disk_usage(folder).free / GIB
    mend = f"less than {LEAST_FREE_GIB} GiB: checkpoints may not fit" if free < LEAST_FREE_GIB else ""
    return Finding(subject=subject, found=f"{folder}, {free:,.1f} GiB free", mend=mend)


def _check_database(settings: Settings) -> Iterator[Finding]:
    store: Store | None = None
    try:
        store = open_store(settings.database_url)
        store.check_revision()
        yield Finding(subject="database", found=f"{store.address}{_sqlite_words(settings)}")
        yield from _check_processes(store, settings)
    except CnnctlError as error:
        yield Finding(subject="database", found=str(error), mend="see the message")
    finally:
        if store:
            store.close()


def _check_processes(store: Store, settings: Settings) -> Iterator[Finding]:
    health = check_health(store, settings)
    yield Finding(subject="stack", found="up" if health.up else "not up", mend=" ".join(health.notices))
    with store.reading() as tx:
        gpus = hosts.list_gpus(tx)
    for gpu in gpus:
        words = f"{gpu.uuid} on {gpu.host_name}: {gpu.model}, {gpu.state.value}"
        yield Finding(subject="gpu", found=words, mend=gpu.reason)


def _check_broker(settings: Settings) -> Finding:
    dispatcher = Dispatcher(settings)
    dispatcher.probe()
    where = "Redis" if settings.broker else f"message files in {settings.broker_dir}"
    mend = f"{dispatcher.error}. Is Redis running, and CNNCTL_BROKER_URL right?" if dispatcher.error else ""
    return Finding(subject="broker", found=where, mend=mend)


def _guarded(subject: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # whatever is wrong with it is what doctor is for
        return Finding(subject=subject, found=f"{type(error).__name__}: {error}", mend="see the message")


def _sqlite_words(settings: Settings) -> str:
    if settings.database:
        return ""
    mode = (
        "WAL" if sqlite_wal_is_safe(sqlite3.sqlite_version_info) else "rollback journal, WAL has a bug there"
    )
    return f" (SQLite {sqlite3.sqlite_version}, {mode})"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
