"""Does what a client may send again only once, and answers it again with the first result."""

from collections.abc import Callable
from contextlib import suppress

from service.errors import SpecError
from service.store.joined import JoinedStore
from service.store.people import request_keys
from service.store.transaction import Store, Transaction

LONGEST_KEY = 255


class _AnsweredBefore(Exception):
    """The request was done before."""


def do_once(store: Store, owner: str, key: str, *, digest: str, act: Callable[[Store], str]) -> str:
    """The answer of `act`, or the one that it gave when this person sent the key first.

    `act` does everything in the store that it is given: its changes, the key and the answer are committed
    together. `digest` is of all that is asked.

    Raises:
        SpecError: the key is empty or too long.
        KeyReused: it was sent with another request.
    """
    check_key(key)
    # First, because what the act reads before it writes might refuse by now what was done already.
    with store.reading() as tx:
        answered = request_keys.find_answer(tx, owner, key, digest=digest)
    if answered is not None:
        return answered
    before: list[str] = []

    def begin(tx: Transaction) -> None:
        answer = request_keys.take_key(tx, owner, key, digest=digest)
        if answer is not None:
            before.append(answer)
            raise _AnsweredBefore

    with suppress(_AnsweredBefore), JoinedStore(store, begin=begin) as joined:
        answer = act(joined)
        if joined.joined is not None:
            request_keys.set_answer(joined.joined, owner, key, answer)
        return answer
    return before[0]


def check_key(key: str) -> None:
    """Refuse a key that is none.

    Raises:
        SpecError: it is empty or too long.
    """
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise SpecError(f"Idempotency-Key must have 1 to {LONGEST_KEY} printable characters")
