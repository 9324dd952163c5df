"""Celery's consumer, of which a worker lives: it begins anew after any error, and says when it is gone."""

# celery is untyped:
# mypy: allow-subclassing-any

import time
from collections.abc import Callable
from typing import Any

from celery.worker import consumer

PAUSE_SECONDS = 1.0  # of errors that come again at once, as from a Redis that is full


class Consumer(consumer.Consumer):
    """Calls `ready` whenever it takes messages, and `gone` when it will take none any more.

    Celery itself begins anew only after the errors that it expects of a connection. A Redis that becomes a
    replica, or is full, is not among them: the worker would wait for its jobs to end, and look alive.
    """

    def __init__(
        self, *arguments: Any, ready: Callable[[], None], gone: Callable[[], None], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.connection_errors = (Exception,)
        self._ready = ready
        self._gone = gone

    def start(self) -> None:
        """Take messages until told to stop, whatever happens."""
        try:
            super().start()
        finally:
            self._gone()

    def on_ready(self) -> None:
        """Messages are read from now on, for the first time or again."""
        super().on_ready()
        self._ready()

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Say what happened and wait a little."""
        super().on_connection_error_before_connected(exc)
        time.sleep(PAUSE_SECONDS)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Say what happened, close what is left of the connection, and wait a little."""
        super().on_connection_error_after_connected(exc)
        time.sleep(PAUSE_SECONDS)
