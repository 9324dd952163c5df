"""Messages only nudge: a broker that is away or full is remembered and never an error."""

import base64
import json
import resource
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu.simple import SimpleQueue
from redis import Redis
from structlog.testing import capture_logs

from service.dispatch.dispatcher import Dispatcher, celery_settings, queue_name
from service.dispatch.file_transport import SCHEME
from service.dispatch.message_check import RUN_ATTEMPT
from service.domain.jobs import Attempt, AttemptId
from service.settings import load_settings
from tests.conftest import make_attempt
from tests.servers import RedisServer


def send(dispatcher: Dispatcher, attempt_id: int, *, host_name: str = "gpu01") -> Attempt:
    attempt = make_attempt(id=AttemptId(attempt_id), host_name=host_name)
    dispatcher.send(attempt)
    return attempt


@pytest.fixture
def dispatcher(redis_server: RedisServer, tmp_path: Path) -> Dispatcher:
    settings = {"CNNCTL_HOME": str(tmp_path / "home"), "CNNCTL_BROKER_URL": redis_server.url}
    return Dispatcher(load_settings(settings))


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with closing(Redis.from_url(redis_server.url)) as client:
        yield client


def test_a_message_names_the_task_and_the_attempt_in_the_queue_of_its_host(
    dispatcher: Dispatcher, redis: Redis
) -> None:
    send(dispatcher, 7, host_name="gpu02")
    assert redis.llen(queue_name("gpu01")) == 0
    (message,) = redis.lrange(queue_name("gpu02"), 0, -1)
    envelope = json.loads(message)
    assert envelope["headers"]["task"] == RUN_ATTEMPT
    args, _, _ = json.loads(base64.b64decode(envelope["body"]))
    assert args == [7]


def test_without_a_server_a_message_is_a_file(tmp_path: Path) -> None:
    settings = load_settings({"CNNCTL_HOME": str(tmp_path)})
    send(Dispatcher(settings), 7)
    (message,) = (settings.broker_dir / "messages").iterdir()
    assert queue_name("gpu01") in message.name
    assert json.loads(message.read_text())["headers"]["task"] == RUN_ATTEMPT


def test_a_broker_that_takes_no_message_is_remembered_until_it_is_well(
    dispatcher: Dispatcher, redis: Redis
) -> None:
    redis.config_set("maxmemory", "1")
    send(dispatcher, 1)
    assert "maxmemory" in dispatcher.error
    redis.config_set("maxmemory", "0")
    dispatcher.probe()
    assert dispatcher.error == ""
    send(dispatcher, 2)
    assert redis.llen(queue_name("gpu01")) == 1


def test_a_broker_that_went_away_and_came_back_is_used_again(
    redis_server: RedisServer, dispatcher: Dispatcher
) -> None:
    send(dispatcher, 1)
    redis_server.stop()
    dispatcher.probe()
    assert dispatcher.error
    send(dispatcher, 2)  # at once: nobody waits for a broker that is known to be away
    redis_server.start()
    dispatcher.probe()
    send(dispatcher, 3)
    with closing(Redis.from_url(redis_server.url)) as client:
        assert client.llen(queue_name("gpu01")) == 1


def test_a_message_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    settings = load_settings({"CNNCTL_HOME": str(tmp_path)})
    dispatcher = Dispatcher(settings)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # files can be made, and nothing written
    try:
        with capture_logs():
            send(dispatcher, 7)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "File too large" in dispatcher.error
    assert list((settings.broker_dir / "messages").iterdir()) == []


def test_half_a_message_is_passed_over(tmp_path: Path) -> None:
    settings = load_settings({"CNNCTL_HOME": str(tmp_path)})
    dispatcher = Dispatcher(settings)
    messages = settings.broker_dir / "messages"
    send(dispatcher, 7)
    (whole,) = messages.iterdir()
    (messages / f"0_{whole.name}").write_bytes(b"")  # read first; as a sender leaves it that is killed
    (messages / f"1_{whole.name}").write_bytes(whole.read_bytes()[:20])
    with Celery(broker=f"{SCHEME}://") as app:
        app.conf.update(celery_settings(settings))
        with app.connection_for_read() as connection:
            queue = connection.SimpleQueue(queue_name("gpu01"))
            message = next(m for m in (_get(queue) for _ in range(3)) if m is not None)
    assert message.headers["task"] == RUN_ATTEMPT


def _get(queue: SimpleQueue) -> Any:
    try:
        return queue.get(block=False)
    except queue.Empty:
        return None
