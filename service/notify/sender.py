"""Delivers what is in the outbox, in a thread beside the scheduler: no hook can delay or harm a decision."""

import threading
from datetime import datetime, timedelta

import structlog

from service.domain.hooks import Notification
from service.errors import DatabaseUnavailable
from service.notify.channels import Undelivered, deliver
from service.notify.message import write_message
from service.settings import Settings
from service.store.people import hooks, outbox
from service.store.transaction import Store

POLL_SECONDS = 2.0
STOP_SECONDS = 1.0
# Longer than all that are taken at once can take, so that nobody else delivers them meanwhile.
LEASE = timedelta(minutes=10)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=1)

log = structlog.get_logger()


class Postman:
    """Delivers each message at least once, and tries again for a day, at growing intervals."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._mail_command = settings.mail_command
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="postman")

    def __enter__(self) -> "Postman":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and wait for no long delivery: what was not noted as delivered is delivered again."""
        self._stop.set()
        self._thread.join(timeout=STOP_SECONDS)

    def deliver_due(self) -> int:
        """Deliver what is due now; how many messages were tried."""
        with self._store.reading() as tx:
            if not outbox.count_due(tx):
                return 0
        with self._store.transaction() as tx:
            taken = outbox.take_due(tx, lease=LEASE)
        for note in taken:
            try:
                self._deliver(note)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                # Whatever is wrong with one message: the others are delivered, and this is given up in time.
                log.exception("postman", action="failed", job=note.job_id)
                self._note_failure(note, f"{type(error).__name__}: {error}")
        return len(taken)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.deliver_due()
            except DatabaseUnavailable as error:
                log.warning("postman", action="database_unavailable", error=str(error))
            except Exception:
                log.exception("postman", action="failed")
            self._stop.wait(POLL_SECONDS)

    def _deliver(self, note: Notification) -> None:
        with self._store.reading() as tx:
            hook = hooks.find_hook(tx, note.hook_id)
            if hook is None:
                return  # somebody has removed it
            message = write_message(tx, note)
        try:
            deliver(message, hook.channel, hook.address, mail_command=self._mail_command)
        except Undelivered as error:
            self._note_failure(note, str(error))
            return
        with self._store.transaction() as tx:
            outbox.set_delivered(tx, note.id)
        log.info("postman", action="delivered", job=note.job_id, hook=note.hook_id)

    def _note_failure(self, note: Notification, error: str) -> None:
        with self._store.transaction() as tx:
            next_try = plan_next_try(note, now=tx.now)
            outbox.set_failed(tx, note.id, error=error, next_try_at=next_try)
        given_up = next_try is None
        log.warning("postman", action="undelivered", job=note.job_id, error=error, given_up=given_up)


def plan_next_try(note: Notification, *, now: datetime) -> datetime | None:
    """When to try again a message that was just tried; None when it is too old by then."""
    pause = min(FIRST_PAUSE * 2 ** min(note.tries, 20), LONGEST_PAUSE)
    return now + pause if now + pause < note.created_at + GIVE_UP_AFTER else None
