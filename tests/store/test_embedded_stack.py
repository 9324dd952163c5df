"""A stack is up when its own scheduler and worker are alive, and not those before it."""

from collections.abc import Callable
from dataclasses import replace

from service.commands.ops.embedded_stack import are_alive
from service.settings import Settings
from service.store.fleet import schedulers
from service.store.transaction import Store
from tests.conftest import HOST, Clock


def test_heartbeats_of_processes_that_ran_before_are_not_taken_for_those_of_this_stack(
    store: Store, settings: Settings, clock: Clock, add_host: Callable[..., None]
) -> None:
    def beat(host: str) -> None:
        add_host(host)
        with store.transaction() as tx:
            schedulers.heartbeat(tx, "here:1", pid=1, broker_error="")

    own = replace(settings, host=HOST)
    beat(HOST)
    clock.advance(1)
    begun = clock.now
    assert not are_alive(store, own, since=begun)
    clock.advance(1)
    beat("another")
    assert not are_alive(store, own, since=begun)
    beat(HOST)
    assert are_alive(store, own, since=begun)
