"""Celery's consumer, which feeds a worker: it restarts after any error, and reports its end."""

# celery is untyped:
# mypy: allow-subclassing-any

import time
from collections.abc import Callable
from typing import Any

from celery.worker import consumer

PAUSE_SECONDS = 1.0  # between errors that repeat at once, as from a full Redis


class Consumer(consumer.Consumer):
    """Calls `ready` whenever it starts to take messages, and `gone` when it will take no more messages.

    Celery itself restarts only after the connection errors that it expects. A Redis that becomes a replica or
    is full raises others: the worker would wait for its jobs to end, and look alive.
    """

    def __init__(
        self, *arguments: Any, ready: Callable[[], None], gone: Callable[[], None], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.connection_errors = (Exception,)
        self._ready = ready
        self._gone = gone

    def start(self) -> None:
        """Take messages until told to stop, whatever the errors."""
        try:
            super().start()
        finally:
            self._gone()

    def on_ready(self) -> None:
        """Report that messages are read from now on, for the first time or again."""
        super().on_ready()
        self._ready()

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Log the error and wait a little."""
        super().on_connection_error_before_connected(exc)
        time.sleep(PAUSE_SECONDS)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Log the error, close the rest of the connection, and wait a little."""
        super().on_connection_error_after_connected(exc)
        time.sleep(PAUSE_SECONDS)
