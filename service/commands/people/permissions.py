"""Who may do what: a job is its owner's and the administrators'."""

from service.domain.jobs import Job
from service.domain.people import Actor
from service.errors import NotAllowed
from service.store.people import users
from service.store.transaction import Transaction


def is_administrator(tx: Transaction, actor: Actor) -> bool:
    """Whether the actor is root, owns the embedded data folder, or was made an administrator."""
    return actor.operator or users.get_user(tx, actor.name).administrator


def check_may_change(tx: Transaction, job: Job, actor: Actor) -> None:
    """Refuse an act on somebody else's job.

    Raises:
        NotAllowed: `actor` neither owns the job nor is an administrator.
    """
    if actor.name != job.owner and not is_administrator(tx, actor):
        raise NotAllowed(
            f"Job {job.id} is {job.owner}'s: only {job.owner} or an administrator may change it. "
            f"You are {actor.name}. Administrators: cnnctl users"
        )


def check_administrator(tx: Transaction, actor: Actor, *, act: str) -> None:
    """Refuse what only administrators may do.

    Raises:
        NotAllowed: `actor` is no administrator.
    """
    if not is_administrator(tx, actor):
        raise NotAllowed(f"Only an administrator may {act}. You are {actor.name}. See: cnnctl users")
