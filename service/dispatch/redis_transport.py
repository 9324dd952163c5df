"""Messages in Redis, for Celery: kombu's own transport, which no message can end.

Redis keeps nothing of a message that was read: a lost message is sent again, and an unreadable one must not
come back.
"""

# kombu is untyped:
# mypy: allow-subclassing-any

from typing import Any

import redis as driver
from kombu.transport import redis

from service.dispatch.message_check import Complaints, explain_fault


class Client(driver.Redis):
    """Drops messages that are not the dispatcher's as soon as they are read from a queue."""

    complaints = Complaints()

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        """A reply of Redis; None for a malformed message, as if nothing had come in time."""
        reply = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        if command_name != "BRPOP" or not reply:
            return reply
        fault = explain_fault(reply[1])
        if fault:
            self.complaints.add(fault, reply[1])
        return None if fault else reply


class Channel(redis.Channel):
    """Reads and writes messages; acknowledging one writes nothing into Redis, which may be full."""

    ack_emulation = False
    do_restore = False

    def _get_client(self) -> Any:
        super()._get_client()  # refuses a driver that is too old
        return Client


class Transport(redis.Transport):
    """Celery's way to Redis."""

    Channel = Channel
