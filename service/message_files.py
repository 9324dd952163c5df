"""Messages in files, for Celery: kombu's own transport, which a half-written file does not end."""

# kombu is untyped:
# mypy: allow-subclassing-any

from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem

SCHEME = "messagefiles"


class Channel(filesystem.Channel):
    """Reads messages; one that cannot be read, since its sender was killed, is passed over."""

    def _get(self, queue: str) -> Any:
        try:
            return super()._get(queue)
        except ValueError:
            raise Empty from None  # what is lost is sent again


class Transport(filesystem.Transport):
    Channel = Channel


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
