"""Messages in files, for Celery: kombu's own transport, which reads a message as soon as it is there.

Messages appear whole, and one that is half written all the same, by another program, ends nobody.
"""

# kombu is untyped:
# mypy: allow-subclassing-any

import json
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem

from service.dispatch.file_watch import FileWatch

SCHEME = "messagefiles"
LONGEST_WAIT_SECONDS = 0.5  # should a change of the folder go unnoticed


class Channel(filesystem.Channel):
    """Writes and reads messages, one a file, in the order of their names."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns():020d}_{uuid.uuid4().hex}.{queue}.msg"
        temporary = folder / f".{name}.unfinished"
        temporary.write_text(json.dumps(payload))
        temporary.rename(folder / name)

    def _get(self, queue: str) -> Any:
        try:
            return super()._get(queue)
        except ValueError:
            raise Empty from None  # what is lost is sent again


class Transport(filesystem.Transport):
    """Waits for files in place of looking for them many times a second."""

    Channel = Channel
    _watch: FileWatch | None = None

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Deliver the next message.

        Raises:
            TimeoutError: none has come in time.
        """
        if self._watch is None:
            self._watch = FileWatch(Path(self.client.transport_options["data_folder_in"]))
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                self.cycle.get(self._deliver, timeout=timeout)
                return
            except Empty:
                left = LONGEST_WAIT_SECONDS if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError from None
                self._watch.wait(min(left, LONGEST_WAIT_SECONDS))


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
