"""Sends messages to workers over Celery, by task and queue name. A lost message is sent again later."""

from collections.abc import Mapping
from typing import Any

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES

from service.dispatch.file_transport import SCHEME
from service.dispatch.message_check import RUN_ATTEMPT
from service.domain.jobs import Attempt
from service.settings import Settings

# By name: a stack with message files needs no Redis driver.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "service.dispatch.redis_transport:Transport"))

log = structlog.get_logger()


def queue_name(host_name: str) -> str:
    """The queue that one host's worker reads."""
    return f"host.{host_name}"


def celery_settings(settings: Settings) -> Mapping[str, Any]:
    """The settings that both ends must share. None of them keeps state: SQL does."""
    common = {
        "broker_url": settings.broker or f"{SCHEME}://",
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": False,
        "task_create_missing_queues": True,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,  # nobody uses it
        "worker_cancel_long_running_tasks_on_connection_loss": True,  # those acknowledged late: none
        "broker_pool_limit": 1,
    }
    if settings.broker:
        timeouts = {"socket_connect_timeout": 3, "socket_timeout": 10, "retry_on_timeout": True}
        return {**common, "broker_transport_options": timeouts}
    folders = {
        "data_folder_in": str(settings.broker_dir / "messages"),
        "data_folder_out": str(settings.broker_dir / "messages"),
        "control_folder": str(settings.broker_dir / "control"),
    }
    return {**common, "broker_transport_options": folders}


class Dispatcher:
    """Sends attempts to their hosts, and remembers why a send failed."""

    def __init__(self, settings: Settings) -> None:
        if not settings.broker:
            (settings.broker_dir / "messages").mkdir(parents=True, exist_ok=True)
        self._app = Celery("cnnctl", set_as_current=False)
        self._app.conf.update(celery_settings(settings))
        self.error = ""

    def send(self, attempt: Attempt, *, host_name: str | None = None) -> None:
        """Tell the worker of the attempt's host, or that of another member's host, about an attempt.

        A broker that is down only delays; nothing is lost.
        """
        if self.error:
            return  # the next probe finds out when it is back; a try here would delay the scheduler
        try:
            self._app.send_task(
                RUN_ATTEMPT, args=[attempt.id], queue=queue_name(host_name or attempt.host_name), retry=False
            )
            self.error = ""
        except (OperationalError, OSError) as error:
            self._remember(error)

    def probe(self) -> None:
        """Find out whether the broker responds."""
        try:
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=3)
            self.error = ""
        except (OperationalError, OSError) as error:
            self._remember(error)

    def _remember(self, error: Exception) -> None:
        if not self.error:
            log.warning("broker", action="send_failed", error=str(error))
        self.error = str(error) or type(error).__name__
