"""One worker per host: the lock file of a data folder, which also proves that an earlier worker is dead."""

from contextlib import suppress
from typing import IO

from service.errors import AlreadyRunning
from service.file_lock import try_lock
from service.settings import Settings


class HostLock:
    """A lock that is held while this process lives; the file names its current or last holder.

    A process that gets the lock knows that the worker named in the file has ended, however it ended.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        file.seek(0)
        self.dead_workers = frozenset(file.read().split())

    def write(self, *workers: str) -> None:
        """Write the names of the ended workers for the next holder of the lock."""
        with suppress(OSError):  # a full disk: then the next worker waits until the lease ends
            self._file.truncate(0)
            self._file.write("\n".join(workers) + "\n")
            self._file.flush()

    def release(self) -> None:
        with suppress(OSError):
            self._file.close()


def lock_host(settings: Settings) -> HostLock:
    """Make sure that this is the only worker of its host and data folder.

    Raises:
        AlreadyRunning: another worker has the lock.
    """
    settings.home_dir.mkdir(parents=True, exist_ok=True)
    file = (settings.home_dir / f"worker-{settings.host_name}.lock").open("a+")
    if not try_lock(file):
        file.close()
        raise AlreadyRunning(
            f"A worker of host {settings.host_name} is already running: one worker serves all GPUs of a "
            "host. For another host, set CNNCTL_HOST to its name"
        )
    return HostLock(file)
