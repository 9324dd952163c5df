"""Whom to tell of what, and what is on its way to them."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from service.domain.jobs import AttemptId, JobId
from service.domain.states import FINISHED, Channel, JobState, Occasion

HookId = NewType("HookId", int)
NotificationId = NewType("NotificationId", int)

MOST_HOOKS = 10  # a person's


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What a person wants to be told of their jobs, and where; `address` is a mail address or a URL."""

    id: HookId
    owner: str
    channel: Channel
    address: str
    on_end: bool
    on_failure: bool
    on_preemption: bool

    def find_occasion(self, state: JobState) -> Occasion | None:
        """What to tell of a job that has just come to a state; it is queued again after a preemption."""
        if state is JobState.PAUSED:  # by the service, since a person must see to it
            return Occasion.FAILURE if self.on_failure else None
        if state is JobState.FAILED and self.on_failure:
            return Occasion.FAILURE
        if state in FINISHED:
            return Occasion.END if self.on_end else None
        return Occasion.PREEMPTION if self.on_preemption else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message to one hook, until it was delivered or given up; `tries` counts those begun."""

    id: NotificationId
    hook_id: HookId
    job_id: JobId
    attempt_id: AttemptId | None
    occasion: Occasion
    job_state: JobState
    reason: str
    created_at: datetime
    tries: int
    next_try_at: datetime | None
    delivered_at: datetime | None
    error: str


def may_be_reached(host: str, address: str, allowed: Collection[str]) -> bool:
    """Whether a webhook may be sent to this IP address of a host, which its owner chose.

    What is private, loopback or link-local is the lab's own: the scheduler can ask services there that the
    hook's owner cannot. `allowed` names hosts or addresses of them that may be asked all the same.
    """
    ip = ipaddress.ip_address(address)
    if {host.rstrip(".").lower(), address, str(ip)} & {name.lower() for name in allowed}:
        return True
    # The standard library counts all of these among the global ones.
    hidden = isinstance(ip, ipaddress.IPv6Address) and (ip.is_site_local or ip.sixtofour is not None)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or hidden)


def is_ip_address(host: str) -> bool:
    """Whether a host is named by its address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
