"""Why a message was not delivered."""


class Undelivered(Exception):
    """A message could not be delivered.

    The text is for its owner, and nothing in it is from the other side, which may be an internal service
    that they could not ask themselves. `detail` is for the scheduler's log.
    """

    def __init__(self, words: str, *, detail: str = "") -> None:
        super().__init__(words)
        self.detail = detail
