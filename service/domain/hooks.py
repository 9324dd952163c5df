"""Hooks, which say where messages about jobs go, and the notifications for them."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from service.domain.jobs import AttemptId, JobId
from service.domain.states import FINISHED, Channel, JobState, Occasion

HookId = NewType("HookId", int)
NotificationId = NewType("NotificationId", int)

MOST_HOOKS = 10  # per person


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Which messages about their jobs a person wants, and where; `address` is a mail address or a URL."""

    id: HookId
    owner: str
    channel: Channel
    address: str
    on_end: bool
    on_failure: bool
    on_preemption: bool

    def find_occasion(self, state: JobState) -> Occasion | None:
        """The occasion to send a message when a job enters a state; it is queued again after a preemption."""
        if state is JobState.PAUSED:  # by the service: a person must decide
            return Occasion.FAILURE if self.on_failure else None
        if state is JobState.FAILED and self.on_failure:
            return Occasion.FAILURE
        if state in FINISHED:
            return Occasion.END if self.on_end else None
        return Occasion.PREEMPTION if self.on_preemption else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message to one hook; `tries` counts the deliveries begun, `next_try_at` is None after the last."""

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
    """Whether a webhook may be sent to this IP address of a host.

    The hook's owner chose the host. Private, loopback and link-local addresses are the lab's own: the
    scheduler can reach services there that the owner cannot. `allowed` names exempt hosts and addresses.
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
