"""Checks everything the service depends on; each finding says what is wrong and what to do about it."""

import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cnnctl.http_client import HttpClient
from cnnctl.views.ops import Finding
from service.commands.fleet.health import check_health
from service.commands.fleet.hosts import list_host_views
from service.commands.ops.doctor_api import check_api
from service.commands.ops.doctor_folders import check_checkpoints, check_run_folders, shorten
from service.commands.ops.doctor_jobs import check_clocks, check_leases, check_trainers
from service.commands.ops.embedded_stack import refuse_new_database
from service.commands.ops.findings import guarded
from service.db.engine import sqlite_wal_is_safe
from service.disk_reserve import NoSpace, check_free_space
from service.dispatch.dispatcher import Dispatcher
from service.domain.states import GpuState
from service.errors import CnnctlError, DatabaseGone, DatabaseUnavailable, NewerDatabase, WrongRevision
from service.private_files import can_be_changed_by_others, list_closed_to_group, list_open
from service.settings import DATABASE_FILE, Settings, load_settings
from service.store.fleet import hosts
from service.store.transaction import Store, open_store

GIB = 1024**3
LEAST_FREE_GIB = 2
PACKAGES = ("cnnctl", "tensorflow", "tensorflow-cpu", "keras", "celery", "sqlalchemy", "psycopg", "redis")


def examine(*, deep: bool = False) -> Iterator[Finding]:
    """Yield one finding after the other; an error in a check is a finding too.

    There are findings about single jobs only if something is wrong with them. `deep` reads whole checkpoints.
    On a host where people only submit, nothing is checked that only a worker needs.
    """
    yield Finding(subject="python", found=f"{platform.python_version()} on {platform.platform()}")
    try:
        settings = load_settings()
    except CnnctlError as error:
        yield Finding(subject="settings", found=str(error), remedy="correct the variable")
        return
    yield from _check_packages(settings)
    yield from _check_folders(settings)
    yield from _check_database(settings, deep=deep)
    yield from guarded("broker", lambda: [_check_broker(settings)])
    yield from guarded("api", lambda: check_api(settings))


def examine_process(name: str) -> Finding:
    """Whether the API or the worker of this host, or the scheduler, is alive."""
    settings = load_settings()
    if name == "api":
        return _examine_api(settings)
    with closing(open_store(settings.database_url)) as store:
        store.check_revision()
        health = check_health(store, settings)
        reasons = {view.host: view.reason for view in list_host_views(store, settings)}
    alive = health.scheduler if name == "scheduler" else settings.host_name in health.hosts
    why = f": {reasons[settings.host_name]}" if name == "worker" and settings.host_name in reasons else ""
    return Finding(
        subject=name, found="alive" if alive else f"not alive{why}", remedy="" if alive else "read its log"
    )


def _examine_api(settings: Settings) -> Finding:
    try:
        HttpClient.on_socket(Path(settings.socket)).get_version()
    except CnnctlError as error:
        return Finding(subject="api", found=f"not alive: {error}", remedy="read its log")
    return Finding(subject="api", found="alive")


def _check_packages(settings: Settings) -> Iterator[Finding]:
    found = {name: _version(name) for name in PACKAGES}
    text = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    trains = found["keras"] and (found["tensorflow"] or found["tensorflow-cpu"])
    needed = not trains and not settings.submits_only
    remedy = "to train on this host: pip install 'cnnctl[gpu]' or 'cnnctl[cpu]'" if needed else ""
    yield Finding(subject="packages", found=text, remedy=remedy)


def _check_folders(settings: Settings) -> Iterator[Finding]:
    folders = [("data folder", settings.home_dir), ("run folders", settings.runs_dir)]
    for subject, folder in [] if settings.submits_only else folders:
        yield from guarded(subject, partial(_check_folder, subject, folder))
    yield from guarded("disk reserve", lambda: _check_reserve(settings))
    yield from guarded("private files", lambda: _check_private(settings))


def _check_folder(subject: str, folder: Path) -> Iterator[Finding]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    free = shutil.disk_usage(folder).free / GIB
    remedy = (
        f"less than {LEAST_FREE_GIB} GiB: free disk space, see cnnctl gc" if free < LEAST_FREE_GIB else ""
    )
    itself = "a checkpoint that does not fit is left out, and training goes on" if remedy else ""
    yield Finding(subject=subject, found=f"{folder}, {free:,.1f} GiB free", remedy=remedy, itself=itself)


def _check_reserve(settings: Settings) -> Iterator[Finding]:
    try:
        check_free_space(settings.runs_dir, reserve_percent=settings.disk_reserve_percent)
    except NoSpace as error:
        itself = "running jobs continue without new checkpoints, and no other starts on this host"
        remedy = "free disk space, see cnnctl gc; or set CNNCTL_DISK_RESERVE"
        yield Finding(subject="disk reserve", found=str(error), remedy=remedy, itself=itself)


def _check_private(settings: Settings) -> Iterator[Finding]:
    """Find files that others may read or change, and files that the group cannot open."""
    found = [str(path) for path in list_open(settings)]
    found += [
        str(folder)
        for folder in {settings.home_dir, settings.runs_dir}
        if folder.is_dir() and can_be_changed_by_others(folder)
    ]
    if found:
        rights = "o=" if settings.group else "go="
        yield Finding(
            subject="private files",
            found=f"others may read or change {shorten(found)}",
            remedy=f"as their owner: chmod {rights} PATH",
            itself="up, worker and scheduler take these rights away at their start from what their user owns",
        )
    for folder in list_closed_to_group(settings):
        yield Finding(
            subject="private files",
            found=f"{folder} was made before CNNCTL_GROUP was {settings.group}, which cannot open all in it",
            remedy=f"chgrp -R {settings.group} {folder} && chmod -R g+rX {folder} && "
            f"find {folder} -type d -exec chmod g+s {{}} +",
        )


def _check_database(settings: Settings, *, deep: bool) -> Iterator[Finding]:
    store: Store | None = None
    try:
        store = open_store(settings.database_url)
        if not settings.database and not (settings.home_dir / DATABASE_FILE).exists():
            refuse_new_database(settings)
        store.check_complete()
        yield Finding(subject="database", found=f"{store.address}{_sqlite_words(settings)}")
        yield from _check_processes(store, settings)
        yield from _check_jobs(store, settings, deep=deep)
    except NewerDatabase as error:
        remedy = "upgrade cnnctl on this host; leave the database as it is"
        yield Finding(subject="database", found=str(error), remedy=remedy)
    except WrongRevision as error:
        itself = "`cnnctl up` upgrades its own database at its start; a server's waits for you"
        yield Finding(subject="database", found=str(error), remedy="cnnctl db upgrade", itself=itself)
    except DatabaseGone as error:
        itself = "trainers go on, and nothing is stored; an embedded stack ends after a minute"
        yield Finding(subject="database", found=str(error), remedy="put the file back", itself=itself)
    except DatabaseUnavailable as error:
        itself = "trainers go on and lose nothing; scheduler and workers try again until it is there"
        remedy = "start the server, or correct CNNCTL_DATABASE_URL"
        yield Finding(subject="database", found=str(error), remedy=remedy, itself=itself)
    except CnnctlError as error:
        yield Finding(subject="database", found=str(error), remedy="see the message")
    finally:
        if store:
            store.close()


def _check_processes(store: Store, settings: Settings) -> Iterator[Finding]:
    health = check_health(store, settings)
    found, remedy = "up" if health.up else "not up", " ".join(health.notices)
    itself = "queued jobs wait, and lose nothing" if remedy else ""
    yield Finding(subject="stack", found=found, remedy=remedy, itself=itself)
    with store.reading() as tx:
        gpus = hosts.list_gpus(tx)
    for gpu in gpus:
        words = f"{gpu.uuid} on {gpu.host_name}: {gpu.model}, {gpu.state.value}"
        if gpu.state is not GpuState.QUARANTINED:  # a drained GPU is as somebody wants it
            words += f": {gpu.reason}" if gpu.reason else ""
            yield Finding(subject="gpu", found=words, remedy="", itself="")
        else:
            itself = "it gets no job until then"
            yield Finding(subject="gpu", found=words, remedy=gpu.reason, itself=itself)


def _check_jobs(store: Store, settings: Settings, *, deep: bool) -> Iterator[Finding]:
    yield from guarded("leases", lambda: check_leases(store, settings))
    yield from guarded("clocks", lambda: check_clocks(store, settings))
    # Where people only submit, trainers run elsewhere, or in a container that has this host's name.
    if settings.submits_only:
        return
    yield from guarded("trainers", lambda: check_trainers(store, settings))
    yield from guarded("checkpoints", lambda: check_checkpoints(store, settings, deep=deep))
    yield from guarded("run folders", lambda: check_run_folders(store, settings))


def _check_broker(settings: Settings) -> Finding:
    if settings.submits_only:
        return Finding(subject="broker", found="not asked: only scheduler and workers need CNNCTL_BROKER_URL")
    dispatcher = Dispatcher(settings)
    dispatcher.probe()
    where = "Redis" if settings.broker else f"message files in {settings.broker_dir}"
    said = dispatcher.error.rstrip(". ")
    remedy = f"{said}. Is Redis running, and CNNCTL_BROKER_URL right?" if said else ""
    itself = "jobs that have their GPUs wait, and are sent again when it is back" if remedy else ""
    return Finding(subject="broker", found=where, remedy=remedy, itself=itself)


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
