"""The trainer of an attempt on this host: started or adopted, stopped, proven gone."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import structlog

from service.domain import run_folder as files
from service.domain.gpus import Gpu
from service.process import find_start
from service.store.transaction import Store
from workers.attempts.outages import retry_until_available
from workers.attempts.starter import Starter
from workers.gpus.memory import Used, prove_free, read_used_mib
from workers.gpus.outsiders import GpuUser
from workers.gpus.quarantine import quarantine_gpus
from workers.process_tree import KILL_SECONDS, ProcessTree

EXIT_STATUS_SECONDS = 1.0  # the warm parent reports it, and may itself be gone
CANCEL_GRACE_SECONDS = 2.5  # a cancel wants the GPU back soon; the earlier checkpoints still exist

log = structlog.get_logger()


class TrainerProcess:
    """A trainer with its run folder and its GPUs; `pid` is None before it has started."""

    def __init__(self, folder: Path, tree: ProcessTree) -> None:
        self.folder = folder
        self._tree = tree
        self._process: BaseProcess | None = None
        self._gpus: Sequence[Gpu] = ()
        self._used_before: Used = {}
        self._stop_at: float | None = None
        self._takes_no_signal = False

    @property
    def pid(self) -> int | None:
        return self._tree.pid

    @property
    def started(self) -> int | None:
        """When it started, in clock ticks since boot: another process may reuse its number later."""
        return self._tree.started

    @property
    def was_adopted(self) -> bool:
        """Whether an earlier worker of this host started it."""
        return self._process is None

    @property
    def gpu_user(self) -> GpuUser:
        """Its process and its GPUs, for the watch of the GPUs."""
        uuids = tuple(gpu.uuid for gpu in self._gpus)
        return GpuUser(pid=self.pid, run_dir=self._tree.run_dir, gpu_uuids=uuids)

    def take_gpus(self, gpus: Sequence[Gpu]) -> None:
        """Set its GPUs before it starts, and note their memory in use, which is not the trainer's."""
        self._gpus, self._used_before = gpus, read_used_mib(gpus)

    def adopt_gpus(self, gpus: Sequence[Gpu]) -> None:
        """Set its GPUs when it already runs: their earlier use is not known."""
        self._gpus = gpus

    def start(self, starter: Starter) -> None:
        """Start the trainer of the run folder.

        Raises:
            OSError: the host has no process or memory left for it.
        """
        self._process = starter.start(self.folder)
        pid = self._process.pid
        assert pid is not None
        self._tree = replace(self._tree, pid=pid, started=find_start(pid))

    def is_followed(self) -> bool:
        """Whether it runs and can still be killed."""
        return self._tree.is_alive() and not self._takes_no_signal

    def renew_lease(self) -> None:
        """Tell the trainer that its worker is alive."""
        with suppress(OSError):
            (self.folder / files.LEASE_FILE).touch()

    def stop(self, *, grace_seconds: float, ask: bool = True) -> None:
        """Ask it to checkpoint and end, at the first call; kill it at a call after the grace time.

        Without `ask`, when it is about to end by itself, it has the same time.
        """
        now = time.monotonic()
        if self._stop_at is None:
            self._stop_at = now
            if ask:
                self._tree.terminate()
        elif now > self._stop_at + grace_seconds:
            log.warning("attempt", action="killed_after_grace", run_dir=str(self.folder))
            self.kill()

    def kill(self) -> None:
        """Kill it and all of its descendants."""
        self._takes_no_signal = not self._tree.kill()

    def prove_free(self) -> Mapping[str, str]:
        """Kill it and wait for its memory; return the GPUs that are not free of both, with the reasons."""
        seconds = 0.0 if self._takes_no_signal else KILL_SECONDS
        return prove_free(self._tree, self._gpus, self._used_before, kill_seconds=seconds)

    def abandon(self, store: Store) -> None:
        """Kill it because its worker has lost its attempt; quarantine GPUs that are not freed."""
        if reasons := self.prove_free():
            retry_until_available(lambda: _quarantine(store, reasons))

    def read_exit_status(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None if unknown."""
        if self._process is None:
            return None
        self._process.join(timeout=EXIT_STATUS_SECONDS)
        return self._process.exitcode


def _quarantine(store: Store, reasons: Mapping[str, str]) -> None:
    with store.transaction() as tx:
        quarantine_gpus(tx, reasons)
