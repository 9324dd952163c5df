"""Messages in files, for Celery: kombu's own transport, which reads a message as soon as it appears.

Messages appear whole. Other files in the folder end no process: a file that has a message's name but no
message is moved into the folder `malformed` beside it, and all other files stay where they are.
"""

# kombu is untyped:
# mypy: allow-subclassing-any

import json
import stat
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem

from service.dispatch.file_watch import FileWatch
from service.dispatch.message_check import LARGEST_BYTES, Complaints, explain_fault

SCHEME = "messagefiles"
LONGEST_WAIT_SECONDS = 0.5  # in case a change of the folder is missed


class Channel(filesystem.Channel):
    """Writes and reads messages, one per file, in the order of the file names."""

    complaints = Complaints()
    do_restore = False  # a lost message is sent again, and a message that ended a consumer must not come back

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns():020d}_{uuid.uuid4().hex}.{queue}.msg"
        temporary = folder / f".{name}.unfinished"
        try:
            temporary.write_text(json.dumps(payload))
            temporary.rename(folder / name)
        except OSError:  # a full disk: nobody else would remove the unfinished file
            temporary.unlink(missing_ok=True)
            raise

    def _get(self, queue: str) -> Any:
        for path in sorted(Path(self.data_folder_in).iterdir()):
            if path.name.partition(".")[2] == f"{queue}.msg" and (raw := self._take(path)):
                return json.loads(raw)
        raise Empty

    def _take(self, path: Path) -> bytes:
        """Read and remove a message file; empty if there is no message in it."""
        raw = b""
        try:
            raw, fault = _read(path)
            if not fault:
                path.unlink()
                return raw
        except FileNotFoundError:
            return b""
        except OSError as error:
            fault = f"it cannot be read or removed: {error.strerror}"
        aside = path.parent.parent / "malformed" / path.name
        try:
            aside.parent.mkdir(exist_ok=True)
            path.rename(aside)
            self.complaints.add(fault, raw, kept_as=str(aside))
        except OSError as error:
            self.complaints.add(
                f"{fault}; it cannot be moved either: {error.strerror}", raw, kept_as=str(path)
            )
        return b""


def _read(path: Path) -> tuple[bytes, str]:
    """The beginning of a file, and what is wrong with its message; only regular files are opened."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return b"", "it is not a file"
    with path.open("rb") as file:
        raw = file.read(LARGEST_BYTES + 1)
    return raw, explain_fault(raw)


class Transport(filesystem.Transport):
    """Waits for files instead of polling for them."""

    Channel = Channel
    _watch: FileWatch | None = None

    def establish_connection(self) -> Any:
        """Create the folder if it is missing, whichever end comes first."""
        Path(self.client.transport_options["data_folder_in"]).mkdir(parents=True, exist_ok=True)
        return super().establish_connection()

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Deliver the next message.

        Raises:
            TimeoutError: no message came in time.
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
