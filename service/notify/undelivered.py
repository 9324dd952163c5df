"""Why a message was not delivered."""


class Undelivered(Exception):
    """A message could not be delivered.

    The text is for the hook's owner. Nothing in it comes from the other side, which may be an internal
    service that the owner cannot reach. `detail` is for the scheduler's log.
    """

    def __init__(self, words: str, *, detail: str = "") -> None:
        super().__init__(words)
        self.detail = detail
