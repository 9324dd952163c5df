"""Who may do what: a job is its owner's and the administrators'; a token may allow less."""

from service.domain.jobs import Job
from service.domain.people import Actor
from service.domain.states import Scope
from service.errors import NotAllowed
from service.store.people import users
from service.store.transaction import Transaction

_ORDER = tuple(Scope)


def is_administrator(tx: Transaction, actor: Actor) -> bool:
    """Whether the actor is root, owns the embedded data folder, or was made an administrator.

    An administrator who came in by a token of a lower scope has no such rights.
    """
    if actor.scope is not Scope.ADMIN:
        return False
    return actor.operator or users.get_user(tx, actor.name).administrator


def check_scope(actor: Actor, *, act: str) -> None:
    """Refuse any change to an actor whose token only reads.

    Raises:
        NotAllowed: with the scope that is needed.
    """
    if _ORDER.index(actor.scope) < _ORDER.index(Scope.SUBMIT):
        raise NotAllowed(
            f"A token of scope {actor.scope.value} may not {act}. You are {actor.name}, by {actor.via}. "
            "One that may: cnnctl token create --scope submit"
        )


def check_may_change(tx: Transaction, job: Job, actor: Actor) -> None:
    """Refuse an act on somebody else's job.

    Raises:
        NotAllowed: `actor` neither owns the job nor is an administrator.
    """
    check_scope(actor, act="change jobs")
    if actor.name != job.owner and not is_administrator(tx, actor):
        raise NotAllowed(
            f"Job {job.id} is {job.owner}'s: only {job.owner} or an administrator may change it. "
            f"You are {actor.name}{_limit(actor)}. Administrators: cnnctl users"
        )


def check_administrator(tx: Transaction, actor: Actor, *, act: str) -> None:
    """Refuse what only administrators may do.

    Raises:
        NotAllowed: `actor` is no administrator.
    """
    if not is_administrator(tx, actor):
        raise NotAllowed(
            f"Only an administrator may {act}. You are {actor.name}{_limit(actor)}. See: cnnctl users"
        )


def check_in_person(actor: Actor, *, act: str) -> None:
    """Refuse what no token may do: whoever has found one must not make others.

    Raises:
        NotAllowed: `actor` came in by a token.
    """
    if actor.via.startswith("token "):
        raise NotAllowed(f"No token may {act}: do it at the service's own machine. You came by {actor.via}")


def _limit(actor: Actor) -> str:
    """The limit of the actor's token, for a message; empty if there is none."""
    return "" if actor.scope is Scope.ADMIN else f", by {actor.via} of scope {actor.scope.value}"
