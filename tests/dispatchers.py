"""A dispatcher for schedulers beside which no worker runs."""

from service.dispatch.dispatcher import Dispatcher
from service.domain.jobs import Attempt


class SilentDispatcher(Dispatcher):
    """Sends nothing: nobody is there to read it."""

    def send(self, attempt: Attempt, *, host_name: str | None = None) -> None:
        pass
