"""The Celery side of a worker: one task, one queue, and threads that supervise one attempt each."""

from functools import partial
from typing import Any

from celery import Celery
from celery.signals import worker_shutting_down

from service.dispatch.dispatcher import celery_settings, queue_name
from service.dispatch.message_check import RUN_ATTEMPT
from service.domain.jobs import AttemptId
from service.settings import Settings
from workers.consumer import Consumer
from workers.host_agent import HostAgent

SPARE_THREADS = 4  # for duplicate messages while every GPU has its attempt


def make_worker(settings: Settings, agent: HostAgent) -> Any:
    """Make a Celery worker for this host's queue; SIGTERM makes it stop its trainers and end."""
    app = Celery("cnnctl", set_as_current=True)
    app.conf.update(celery_settings(settings))

    def run_attempt(attempt_id: int) -> None:
        agent.run_attempt(AttemptId(attempt_id))

    app.task(run_attempt, name=RUN_ATTEMPT)
    # Celery keeps only weak references by default.
    worker_shutting_down.connect(lambda **_: agent.close(), weak=False)
    return app.Worker(
        hostname=f"cnnctl@{settings.host_name}",
        queues=[queue_name(settings.host_name)],
        pool="threads",
        consumer_cls=partial(Consumer, ready=agent.register, gone=agent.close),
        concurrency=len(agent.gpus) + SPARE_THREADS,
        loglevel=settings.log_level.upper(),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
