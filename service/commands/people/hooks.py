"""Adds, lists and removes hooks, which say where messages about a person's jobs go."""

import re
import reprlib
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from cnnctl.views import states as views
from cnnctl.views.people import HookView
from service.commands.people.permissions import check_scope, is_administrator
from service.domain.audit import AuditEntry
from service.domain.bounds import check_option
from service.domain.credentials import Credential
from service.domain.hooks import (
    MOST_HOOKS,
    Hook,
    HookId,
    Notification,
    is_ip_address,
    may_be_reached,
)
from service.domain.people import Actor, by_token
from service.domain.states import Action, Channel, Occasion, Subject
from service.errors import HookNotFound, NotAllowed, SpecError
from service.settings import Settings
from service.store.jobs import jobs
from service.store.people import audit, hooks, outbox, users
from service.store.transaction import Store, Transaction

_MAIL_ADDRESS = re.compile(r"\w[\w.+-]*(@[\w.-]+)?", re.ASCII)


def add_hook(
    store: Store,
    settings: Settings,
    *,
    channel: Channel,
    address: str,
    occasions: Collection[Occasion],
    actor: Actor,
) -> HookView:
    """Send messages about the actor's own jobs to an address from now on.

    Raises:
        SpecError: the address is not valid or may not be reached, no occasion is given, or the actor has
            `MOST_HOOKS` hooks.
    """
    check_scope(actor, act="add a hook")
    _check_address(channel, address, settings)
    if not occasions:
        raise SpecError(f"--on takes any of {', '.join(one.value for one in Occasion)}. Received: none")
    with store.transaction() as tx:
        users.lock_user(tx, actor.name)
        if len(hooks.list_hooks(tx, actor.name)) >= MOST_HOOKS:
            raise SpecError(
                f"{actor.name} has {MOST_HOOKS} hooks, and nobody may have more. "
                "Remove one first: cnnctl notify list, then cnnctl notify remove HOOK"
            )
        number = hooks.add_hook(tx, actor.name, channel=channel, address=address, occasions=occasions)
        # Everybody reads the audit, and the path of a webhook's address is often a secret.
        to = _read_host(address) if channel is Channel.WEBHOOK else address
        after = {"channel": channel.value, "to": to, "on": sorted(one.value for one in occasions)}
        title = _title(number, actor.name)
        audit.add_entry_about(tx, Subject.HOOK, title, Action.ADDED, actor=actor, after=after)
        hook = hooks.find_hook(tx, number)
        assert hook is not None  # it was added just now
        return _describe(hook, None, via=actor.via)


def list_hook_views(store: Store, *, actor: Actor) -> Sequence[HookView]:
    """The actor's hooks, each with whether its newest message was delivered."""
    with store.reading() as tx:
        return [
            _describe(hook, outbox.find_latest(tx, hook.id), via=added.via if added else "")
            for hook, added in _list_with_origins(tx, actor.name)
        ]


def remove_hook(store: Store, hook_id: HookId, *, actor: Actor) -> None:
    """Stop the messages of a hook.

    Raises:
        HookNotFound: there is no such hook.
        NotAllowed: it is somebody else's.
    """
    check_scope(actor, act="remove a hook")
    with store.transaction() as tx:
        hook = hooks.find_hook(tx, hook_id) if 0 < hook_id <= jobs.LARGEST_ID else None
        if hook is None:
            raise HookNotFound(f"There is no hook {hook_id}. Yours: cnnctl notify list")
        if hook.owner != actor.name and not is_administrator(tx, actor):
            raise NotAllowed(
                f"Hook {hook_id} is {hook.owner}'s: only {hook.owner} or an administrator may remove it"
            )
        _remove(tx, hook, actor=actor)


def remove_hooks_of_token(tx: Transaction, token: Credential, *, actor: Actor) -> None:
    """Remove the hooks that were made with a token that is revoked.

    Whoever revokes one perhaps lost it, and whoever found it must not be told of jobs any longer.
    """
    via = by_token(token.name)
    for hook, added in _list_with_origins(tx, token.owner):
        if added and added.via == via and added.at >= token.created_at:  # not with an earlier one of its name
            _remove(tx, hook, actor=actor, detail=f"made with {via}, which is revoked")


def _list_with_origins(tx: Transaction, owner: str) -> Sequence[tuple[Hook, AuditEntry | None]]:
    """A person's hooks, each with the entry that says how it was added; None: it is older than the audit."""
    mine = hooks.list_hooks(tx, owner)
    added = audit.list_added(tx, Subject.HOOK, [_title(hook.id, owner) for hook in mine])
    return [(hook, added.get(_title(hook.id, owner))) for hook in mine]


def _remove(tx: Transaction, hook: Hook, *, actor: Actor, detail: str = "") -> None:
    hooks.remove_hook(tx, hook.id)
    title = _title(hook.id, hook.owner)
    audit.add_entry_about(tx, Subject.HOOK, title, Action.REMOVED, actor=actor, detail=detail)


def _title(hook_id: HookId, owner: str) -> str:
    return f"{hook_id} of {owner}"


def _check_address(channel: Channel, address: str, settings: Settings) -> None:
    check_option(f"--{channel.value}", address)
    if channel is Channel.MAIL:
        if not _MAIL_ADDRESS.fullmatch(address):
            raise SpecError(f"--mail takes one address, as in ada@example.org. Received: {address!r}")
        return
    host = _read_host(address)
    if not host:
        raise SpecError(
            "--webhook takes an http or https URL of ASCII letters, without a user. "
            f"Received: {reprlib.repr(address)}"
        )
    # A name is resolved when a message is sent, by the scheduler.
    if is_ip_address(host) and not may_be_reached(host, host, settings.webhook_hosts):
        raise SpecError(
            f"--webhook: {host} is private, loopback or link-local. "
            "Whoever runs the service can allow it: CNNCTL_WEBHOOK_HOSTS"
        )


def _read_host(address: str) -> str:
    """The host of a web address; empty if the address is not valid."""
    if not address.isascii() or re.search(r"[\s\0-\x1f\x7f]", address):
        return ""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # as of a bracket that is not closed, or a port that is no number
        return ""
    usable = parts.scheme in ("http", "https") and "@" not in parts.netloc and port != 0
    return host if usable else ""


def _describe(hook: Hook, latest: Notification | None, *, via: str) -> HookView:
    on: list[views.Occasion] = [one.value for one in Occasion if getattr(hook, f"on_{one.value}")]
    return HookView(
        hook=hook.id,
        channel=hook.channel.value,
        address=hook.address,
        on=on,
        via=via,
        last_job=latest.job_id if latest else None,
        delivered=latest.delivered_at is not None if latest else None,
        error=latest.error if latest else "",
    )
