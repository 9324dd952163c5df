"""A real Celery worker whose broker is attacked: nothing that is put there ends the worker, and no error."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path

import pytest
from redis import Redis

from service.dispatch.dispatcher import Dispatcher, queue_name
from service.domain.jobs import AttemptId
from service.settings import Settings, load_settings
from tests.conftest import HOST, make_attempt
from tests.servers import RedisServer, wait_until
from tests.stack import ROOT

# A worker of gpu01 whose agent says what it is told; attempt 99 lasts until the worker closes.
WORKER = """
import sys, threading
from service.log import configure_log
from service.settings import load_settings
from workers.celery_app import make_worker

class Agent:
    gpus = [None]
    closing = threading.Event()
    readiness = 0
    def say(self, *words):
        print(*words, flush=True, file=sys.__stdout__)  # Celery takes the other one for its log
    def register(self):
        self.readiness += 1
        self.say("listening")
        if self.readiness == 2 and "dies" in sys.argv:
            raise SystemExit(1)
    def run_attempt(self, number):
        self.say("attempt", number)
        if number == 99:
            self.closing.wait()
    def close(self):
        self.say("gone")
        self.closing.set()

configure_log("info")
worker = make_worker(load_settings(), Agent())
worker.start()
sys.exit(worker.exitcode or 0)
"""
MALFORMED = [
    b"[]",
    b"null",
    b"5",
    b"{}",
    b"***",
    b"\xff\xfe",
    b"[" * 50_000,
    b" " * 100_000,
    b'{"headers": {"task": "run_attempt"}}',
]


class Worker:
    """The worker's process and what it has said."""

    def __init__(self, settings: Settings, log: Path, *words: str) -> None:
        self.settings = settings
        self._said = log
        named = {"CNNCTL_HOME": settings.home, "CNNCTL_BROKER_URL": settings.broker, "CNNCTL_HOST": HOST}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", WORKER, *words],
                env={**os.environ, **named, "PYTHONPATH": str(ROOT)},
                stdout=output,
                stderr=output,
            )

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """As the scheduler has it, which may start later."""
        return Dispatcher(self.settings)

    def said(self, words: str) -> int:
        """How often."""
        return self._said.read_text().count(words)

    def wait_for(self, words: str, *, times: int = 1) -> None:
        wait_until(lambda: self.said(words) >= times or self.process.poll() is not None, seconds=20)
        assert self.said(words) >= times, self._said.read_text()

    def does_attempt(self, number: int) -> None:
        """Send an attempt and see that the worker gets it."""
        self.dispatcher.probe()
        self.dispatcher.send(make_attempt(id=AttemptId(number), host_name=HOST))
        self.wait_for(f"attempt {number}\n")


@pytest.fixture
def run_worker(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    started: list[Worker] = []

    def run(broker: str, *words: str) -> Worker:
        home = {"CNNCTL_HOME": str(tmp_path / "home"), "CNNCTL_BROKER_URL": broker}
        started.append(Worker(load_settings(home), tmp_path / "worker.log", *words))
        return started[-1]

    yield run
    for worker in started:
        with suppress(ProcessLookupError):
            worker.process.terminate()
        assert worker.process.wait(timeout=30) in (0, 1)


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with closing(Redis.from_url(redis_server.url)) as client:
        yield client


def a_message(worker: Worker, **changes: object) -> bytes:
    """A message as the dispatcher sends it, with another `body`, `content-type` or header."""
    folder = worker.settings.home_dir / "sample"
    sample = load_settings({"CNNCTL_HOME": str(folder)})
    Dispatcher(sample).send(make_attempt(id=AttemptId(5), host_name="elsewhere"))
    (path,) = (sample.broker_dir / "messages").iterdir()
    message = json.loads(path.read_text())
    path.unlink()
    for name, value in changes.items():
        (message if name in message else message["headers"])[name] = value
    return json.dumps(message).encode()


def malformed_messages(worker: Worker) -> list[bytes]:
    nearly: list[dict[str, object]] = [
        {"body": "***"},
        {"body": "W10="},
        {"body": "W1siYSJdLCB7fSwge31d"},  # ["a"] as arguments
        {"content-type": "application/x-python-serialize"},
        {"task": "rm"},
        {"eta": "9999-12-31T23:59:59.999999"},
        {"headers": []},
        {"properties": {}},
    ]
    return [*MALFORMED, *(a_message(worker, **changes) for changes in nearly)]


def test_malformed_messages_in_redis_are_dropped_and_said_while_a_job_runs(
    run_worker: Callable[..., Worker], redis_server: RedisServer, redis: Redis
) -> None:
    worker = run_worker(redis_server.url)
    worker.does_attempt(99)
    for raw in malformed_messages(worker):
        redis.lpush(queue_name(HOST), raw)
    worker.does_attempt(7)
    assert redis.keys("unacked*") == []
    assert redis.llen(queue_name(HOST)) == 0
    assert worker.said("listening") == 1
    assert worker.said("action=malformed_message") == 1
    assert worker.said("begins=b'[]'") == 1


def test_malformed_message_files_are_moved_aside_and_others_stay(run_worker: Callable[..., Worker]) -> None:
    worker = run_worker("")
    worker.does_attempt(99)
    messages = worker.settings.broker_dir / "messages"
    name = f"0.{queue_name(HOST)}.msg"
    bad = malformed_messages(worker)
    for number, raw in enumerate(bad):
        temporary = messages / f".{number}"
        temporary.write_bytes(raw)
        temporary.rename(messages / f"{number}_{name}")
    (messages / f"folder_{name}").mkdir()
    os.mkfifo(messages / f"fifo_{name}")
    (messages / f"endless_{name}").symlink_to("/dev/zero")
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        os.chdir(messages)  # a socket's path is short
        listening.bind(f"socket_{name}")
    (messages / "notes.txt").write_text("nobody's")
    worker.does_attempt(7)
    aside = worker.settings.broker_dir / "malformed"
    assert len(list(aside.iterdir())) == len(bad) + 4
    assert stat.S_ISFIFO((aside / f"fifo_{name}").lstat().st_mode)
    assert [path.name for path in messages.iterdir()] == ["notes.txt"]
    assert worker.said("listening") == 1
    assert worker.said("action=malformed_message") == 1


def test_a_worker_needs_no_scheduler_to_make_its_message_folder_and_outlives_its_removal(
    run_worker: Callable[..., Worker],
) -> None:
    worker = run_worker("")
    worker.wait_for("listening")
    shutil.rmtree(worker.settings.broker_dir)
    worker.wait_for("listening", times=2)
    worker.does_attempt(7)


def test_a_redis_that_becomes_a_replica_and_a_master_again_is_read_again_while_a_job_runs(
    run_worker: Callable[..., Worker], redis_server: RedisServer, redis: Redis
) -> None:
    worker = run_worker(redis_server.url)
    worker.does_attempt(99)
    redis.replicaof("127.0.0.1", 1)
    worker.wait_for("ReadOnlyError")
    redis.replicaof("NO", "ONE")
    worker.wait_for("listening", times=2)
    worker.does_attempt(7)
    assert worker.said("gone") == 0


def test_a_worker_that_starts_while_redis_is_full_waits_for_it(
    run_worker: Callable[..., Worker], redis_server: RedisServer, redis: Redis
) -> None:
    redis.config_set("maxmemory", "1")
    worker = run_worker(redis_server.url)
    worker.wait_for("OutOfMemoryError")
    assert worker.said("listening") == 0
    redis.config_set("maxmemory", "0")
    worker.does_attempt(7)


def test_a_worker_whose_consumer_is_gone_for_good_leaves_at_once_though_a_job_runs(
    run_worker: Callable[..., Worker], redis_server: RedisServer, redis: Redis
) -> None:
    worker = run_worker(redis_server.url, "dies")
    worker.does_attempt(99)
    redis.client_kill_filter(_type="normal")
    worker.wait_for("gone")
    assert worker.process.wait(timeout=30) == 1
