"""Delivers the messages in the outbox, in threads beside the scheduler: no hook can delay a decision."""

import itertools
import threading
import time
from datetime import datetime, timedelta

import structlog

from service.domain.hooks import Notification
from service.errors import DatabaseUnavailable
from service.notify.channels import deliver
from service.notify.message import write_message
from service.notify.undelivered import Undelivered
from service.settings import Settings
from service.store.people import hooks, outbox
from service.store.transaction import Store

AT_ONCE = 4  # deliveries at once, each to a different person
POLL_SECONDS = 2.0
STOP_SECONDS = 1.0
# Longer than a delivery can take, so that no other process delivers the message meanwhile.
LEASE = timedelta(minutes=2)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=1)

log = structlog.get_logger()


class NotificationSender:
    """Delivers each message at least once, and tries again for a day, at growing intervals.

    Each person has one delivery at a time: one person's slow servers delay nobody else.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._choosing = threading.Lock()  # one thread finds the next message, the others deliver
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._in_delivery: set[str] = set()
        self._served: dict[str, int] = {}  # the round in which each person was last served
        self._rounds = itertools.count(1)
        self._threads = [
            threading.Thread(target=self._run, daemon=True, name=f"notifications {number}")
            for number in range(AT_ONCE)
        ]

    def __enter__(self) -> "NotificationSender":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop without waiting for long deliveries: a message not marked as delivered is sent again."""
        self._stop.set()
        self._changed.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def deliver_due(self) -> int:
        """Deliver the messages due now, one after the other; return how many were tried."""
        tried = 0
        while (taken := self._take_next()) is not None:
            self._serve(*taken)
            tried += 1
        return tried

    def _run(self) -> None:
        while True:
            with self._choosing:
                if self._stop.is_set():
                    return
                taken = self._wait_for_next()
            if taken is not None:
                self._serve(*taken)

    def _wait_for_next(self) -> tuple[str, Notification] | None:
        """The next delivery; None after a pause, if nothing is due or the database cannot be reached."""
        self._changed.clear()
        taken = None
        try:
            taken = self._take_next()
        except DatabaseUnavailable as error:
            log.warning("notifications", action="database_unavailable", error=str(error))
        except Exception:
            log.exception("notifications", action="failed")
        if taken is None and not self._stop.is_set():
            self._changed.wait(POLL_SECONDS)
        return taken

    def _take_next(self) -> tuple[str, Notification] | None:
        """Take a message for the person who was served the longest ago and has no delivery now."""
        with self._store.reading() as tx:
            due = [owner for owner in outbox.list_owners_due(tx) if owner not in self._in_delivery]
        for owner in sorted(due, key=lambda owner: self._served.get(owner, 0)):
            with self._store.transaction() as tx:
                note = outbox.take_due(tx, owner, lease=LEASE)
            if note is not None:
                self._in_delivery.add(owner)
                self._served[owner] = next(self._rounds)
                return owner, note
        return None

    def _serve(self, owner: str, note: Notification) -> None:
        try:
            self._deliver(note)
        except DatabaseUnavailable as error:
            log.warning("notifications", action="database_unavailable", error=str(error))
        except Exception:
            log.exception("notifications", action="failed", job=note.job_id)
        finally:
            self._in_delivery.discard(owner)
            self._changed.set()

    def _deliver(self, note: Notification) -> None:
        try:
            delivered = self._try(note)
        except Undelivered as error:
            self._note_failure(note, error)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            # Whatever is wrong with one message, the others are delivered, and this one is given up in time.
            log.exception("notifications", action="failed", job=note.job_id)
            self._note_failure(note, Undelivered("cnnctl failed; see the scheduler's log", detail=str(error)))
        else:
            if delivered:
                with self._store.transaction() as tx:
                    outbox.set_delivered(tx, note.id)
                log.info("notifications", action="delivered", job=note.job_id, hook=note.hook_id)

    def _try(self, note: Notification) -> bool:
        """Deliver a message; False if its hook no longer exists.

        Raises:
            Undelivered: the delivery failed.
        """
        with self._store.reading() as tx:
            hook = hooks.find_hook(tx, note.hook_id)
            if hook is None:
                return False
            message = write_message(tx, note)
        deliver(message, hook.channel, hook.address, self._settings)
        return True

    def _note_failure(self, note: Notification, error: Undelivered) -> None:
        with self._store.transaction() as tx:
            next_try = plan_next_try(note, now=tx.now)
            outbox.set_failed(tx, note.id, error=str(error), next_try_at=next_try)
        given_up = next_try is None
        log.warning(
            "notifications",
            action="undelivered",
            job=note.job_id,
            hook=note.hook_id,
            error=str(error),
            detail=error.detail,
            given_up=given_up,
        )


def plan_next_try(note: Notification, *, now: datetime) -> datetime | None:
    """When to retry a message that was just tried; None if it is too old by then."""
    pause = min(FIRST_PAUSE * 2 ** min(note.tries, 20), LONGEST_PAUSE)
    return now + pause if now + pause < note.created_at + GIVE_UP_AFTER else None
