"""Makes the transactions of one request one, which is committed with the answer to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

from service.store.transaction import Store, Transaction


class JoinedStore(Store):
    """A store for one thread: its transactions are one, which is committed at the end of the block.

    So what a use case does, and what its caller stores besides, happens as a whole or not at all.
    """

    def __init__(self, store: Store, *, begin: Callable[[Transaction], Any]) -> None:
        vars(self).update(vars(store))  # the same engine, clock and queue of writers
        self._begin = begin
        self._block = ExitStack()
        self.joined: Transaction | None = None

    @contextmanager
    def transaction(self, *, urgent: bool = False) -> Iterator[Transaction]:
        if self.joined is None:
            tx = self._block.enter_context(super().transaction(urgent=urgent))
            self._begin(tx)
            self.joined = tx
        yield self.joined

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        if self.joined is not None:
            yield self.joined
            return
        with super().reading() as tx:
            yield tx

    def __enter__(self) -> "JoinedStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._block.__exit__(kind, error, trace)
