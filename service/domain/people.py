"""People: who acts, and what each may ask for."""

from dataclasses import dataclass

from service.domain.states import Scope

# Jobs that a person may have waiting, unless another quota was granted: each plan reads all of them.
MOST_QUEUED = 10_000


BY_TERMINAL = "terminal"
BY_SOCKET = "socket"
BY_BROWSER = "browser"
BY_SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, as the operating system or a credential proves; or a process of the service itself."""

    name: str
    operator: bool = False
    """Root, or the owner of the embedded data folder."""
    scope: Scope = Scope.ADMIN
    """The most that may be done by the way in which they came in; their own rights limit it further."""
    via: str = BY_TERMINAL
    """How they came in: `terminal`, `socket`, `token NAME`, `browser` or `service`."""
    origin: str = ""
    """From which address; empty on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """What an administrator has granted a person; the defaults are everybody's.

    `weight` is their share of the GPUs, relative to others. None means no quota.
    """

    name: str
    weight: float = 1.0
    max_gpus: int | None = None
    max_queued: int | None = MOST_QUEUED
    may_use_high: bool = False
    administrator: bool = False


def by_token(name: str) -> str:
    """How somebody came in who has a token of this name."""
    return f"token {name}"


SCHEDULER = Actor(name="scheduler", via=BY_SERVICE)


def worker_of(host_name: str) -> Actor:
    """The worker of a host, as it acts by itself."""
    return Actor(name=f"worker {host_name}", via=BY_SERVICE)
