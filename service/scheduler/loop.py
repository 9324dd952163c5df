"""Runs the scheduler: a tick plans in one transaction, then sends one message for each placement."""

import os
import socket
import threading
import time
from collections.abc import Callable, Set

import structlog

from service.dispatch.dispatcher import Dispatcher
from service.dispatch.file_watch import FileWatch
from service.errors import DatabaseUnavailable
from service.liveness import LivenessMonitor
from service.scheduler import rescue
from service.scheduler.placing import Placing
from service.scheduler.study_progress import advance_studies
from service.settings import Settings
from service.store.fleet import hosts, schedulers
from service.store.jobs import attempts
from service.store.people import audit, request_keys
from service.store.people.audit_watch import AuditWatch
from service.store.transaction import Store, Transaction

HOUSEKEEPING_SECONDS = 1.0
IDLE_SECONDS = 3.0  # the same while no job waits or runs
LONGEST_TURN_SECONDS = 4.0  # between two ticks without an error
PROBE_SECONDS = 5.0
OUTAGE_PAUSE_SECONDS = 2.0
FORGET_SECONDS = 3600.0  # between two times that old keys of requests are deleted
ASK_SECONDS = 30.0  # between two messages to a host that takes no messages

log = structlog.get_logger()


class Scheduler:
    """Places queued jobs, resends unclaimed attempts and ends lost attempts, until told to stop."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        dispatcher: Dispatcher,
        *,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._watch = AuditWatch(store)
        self._settings = settings
        self._dispatcher = dispatcher
        self._seconds = seconds
        self._next_housekeeping = 0.0
        self._next_probe = 0.0
        self._next_asking = 0.0
        self._next_forgetting = 0.0
        self._seen_event = -1
        self._idle = False
        self._tick_seconds: float | None = None  # of the last tick
        self._folder: FileWatch | None = None
        pause = max(settings.lease_seconds / 2, LONGEST_TURN_SECONDS)
        self._workers = LivenessMonitor(settings.lease_seconds, pause_seconds=pause, clock=seconds)
        self._hosts = LivenessMonitor(settings.lease_seconds, pause_seconds=pause, clock=seconds)
        self._placing = Placing(settings, dispatcher, seconds=seconds)
        self._messages = LivenessMonitor(settings.resend_seconds, clock=seconds)
        patience = rescue.UNANSWERED_SENDS * settings.resend_seconds
        self._unanswered = LivenessMonitor(patience, pause_seconds=pause, clock=seconds)

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop` is set; a database that cannot be reached only delays."""
        log.info("scheduler", action="started", pid=os.getpid())
        self._folder = FileWatch(self._store.folder) if self._store.folder else None
        while not stop.is_set():
            try:
                self._turn()
                self._wait(stop, self._settings.tick_seconds)
            except DatabaseUnavailable as error:
                log.warning("scheduler", action="database_unavailable", error=str(error))
                stop.wait(OUTAGE_PAUSE_SECONDS)
            except Exception:
                # The decision is rolled back, or its messages are not sent yet. No job may end the
                # scheduler for everybody.
                log.exception("scheduler", action="tick_failed")
                stop.wait(OUTAGE_PAUSE_SECONDS)
        self._watch.close()
        if self._folder:
            self._folder.close()
        log.info("scheduler", action="stopped")

    def _wait(self, stop: threading.Event, seconds: float) -> None:
        """Wait until the next check; PostgreSQL, or a change in SQLite's folder, may end the wait."""
        if not stop.is_set():
            (self._folder or self._watch).wait(seconds)

    def tick(self) -> None:
        """Rescue, resend and place jobs, in one transaction; does nothing while another scheduler ticks."""
        began = time.perf_counter()
        last, self._tick_seconds = self._tick_seconds, None
        try:
            with self._store.transaction() as tx:
                if not schedulers.lock_tick(tx):
                    return
                self._decide(tx, last_tick_seconds=last)
        except Exception:
            self.forget()
            raise
        self._tick_seconds = time.perf_counter() - began

    def forget(self) -> None:
        """Read all jobs anew at the next tick; what is learned of run times and usage stays."""
        self._placing.forget()

    def _decide(self, tx: Transaction, *, last_tick_seconds: float | None) -> None:
        alive = self._listen(tx)
        rescue.rescue_lost(tx, self._settings, self._workers)
        alive = rescue.resend_unclaimed(
            tx, self._settings, self._dispatcher, self._messages, self._unanswered, alive=alive
        )
        if self._seconds() >= self._next_asking:
            self._next_asking = self._seconds() + ASK_SECONDS
            rescue.ask_unanswering(tx, self._dispatcher)
        if self._seconds() >= self._next_forgetting:
            self._next_forgetting = self._seconds() + FORGET_SECONDS
            request_keys.forget_keys(tx, before=tx.now - request_keys.KEPT)
        queued = self._placing.place(tx, alive)
        self._idle = not queued and not attempts.list_live_attempts(tx)
        name = f"{socket.gethostname()}:{os.getpid()}"
        broker_error = self._dispatcher.error
        schedulers.heartbeat(
            tx, name, pid=os.getpid(), broker_error=broker_error, tick_seconds=last_tick_seconds
        )
        self._placing.end_turn(tx)
        self._seen_event = audit.newest_entry_id(tx)

    def _turn(self) -> None:
        now = time.monotonic()
        if now >= self._next_probe:
            self._next_probe = now + PROBE_SECONDS
            self._dispatcher.probe()
        if now >= self._next_housekeeping or self._something_happened():
            advance_studies(self._store)
            self.tick()
            self._next_housekeeping = now + (IDLE_SECONDS if self._idle else HOUSEKEEPING_SECONDS)

    def _something_happened(self) -> bool:
        return self._watch.newest_entry_id() != self._seen_event

    def _listen(self, tx: Transaction) -> Set[str]:
        """The hosts whose worker is alive."""
        heartbeats = {host.name: host.heartbeat_at for host in hosts.list_hosts(tx) if host.heartbeat_at}
        return heartbeats.keys() - self._hosts.list_silent(heartbeats, now=tx.now)
