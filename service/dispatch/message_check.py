"""Says what is wrong with a message from the broker, before Celery reads it.

Anybody who reaches the broker can put anything there, and Celery's consumer trusts what it reads: an
unexpected message would end it. So only messages in the dispatcher's form pass.
"""

import base64
import json
import time
from typing import Any

import structlog

from service.store.jobs.jobs import LARGEST_ID

RUN_ATTEMPT = "run_attempt"
LARGEST_BYTES = 64 * 1024  # the dispatcher's messages have about 1,000
SHOWN_CHARACTERS = 200
SAID_EVERY_SECONDS = 60.0
_ROUTE = ("exchange", "routing_key")
# Headers that Celery would act on, with the dispatcher's values.
_PLAIN = {"eta": None, "expires": None, "timelimit": [None, None], "retries": 0}

log = structlog.get_logger()


def explain_fault(raw: bytes) -> str:
    """Why a message does not come from the dispatcher, in words; empty if it does."""
    if len(raw) > LARGEST_BYTES:
        return f"it has {len(raw):,} bytes; a message has at most {LARGEST_BYTES:,}"
    try:
        return _explain_fault(json.loads(raw))
    except (ValueError, RecursionError):
        return "it is not JSON"
    except (TypeError, KeyError, AttributeError):
        return "it is not a Celery message"


def _explain_fault(message: Any) -> str:
    headers, properties = message["headers"], message["properties"]
    if headers["task"] != RUN_ATTEMPT:
        return f"it names a task other than {RUN_ATTEMPT}"
    form = (message["content-type"], message["content-encoding"], properties["body_encoding"])
    names = (headers["id"], properties["delivery_tag"], *map(properties["delivery_info"].get, _ROUTE))
    if form != ("application/json", "utf-8", "base64") or not all(isinstance(name, str) for name in names):
        return "its envelope is not one that the dispatcher writes"
    if "compression" in headers or any(headers.get(name, usual) != usual for name, usual in _PLAIN.items()):
        return "it asks Celery for more than running an attempt"
    arguments, named, then = json.loads(base64.b64decode(message["body"], validate=True))
    if named or any(then.values()) or len(arguments) != 1:
        return "its arguments are not exactly one number"
    (number,) = arguments
    if type(number) is not int or not 0 < number <= LARGEST_ID:
        return "its argument is not an attempt's number"
    return ""


class Complaints:
    """Logs what was wrong with messages: the first at once, of many only the number."""

    def __init__(self) -> None:
        self._unsaid = 0
        self._next = 0.0

    def add(self, fault: str, raw: bytes, *, kept_as: str = "") -> None:
        """Log that a message was removed from its queue."""
        self._unsaid += 1
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SAID_EVERY_SECONDS
        log.error(
            "broker",
            action="malformed_message",
            fault=fault,
            messages=self._unsaid,
            begins=repr(raw[:SHOWN_CHARACTERS]),
            **({"kept_as": kept_as} if kept_as else {}),
        )
        self._unsaid = 0
