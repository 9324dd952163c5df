"""Threads take turns in the order in which they came, and nobody waits for ever."""

import threading
import time

import pytest

from service.db.write_queue import WriteQueue
from service.errors import DatabaseUnavailable

URGENT = 7


def test_turns_are_taken_in_the_order_of_coming_but_for_an_urgent_one() -> None:
    turns = WriteQueue(wait_seconds=30)
    taken: list[int] = []

    def write(number: int) -> None:
        with turns.take(urgent=number == URGENT):
            taken.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    with turns.take():
        for waiting, thread in enumerate(threads, start=2):
            thread.start()
            while len(turns._line) < waiting:
                time.sleep(0)
        assert taken == []
    for thread in threads:
        thread.join()
    assert taken == [URGENT, *(number for number in range(20) if number != URGENT)]


def test_a_thread_that_asks_twice_is_refused_and_keeps_its_turn() -> None:
    turns = WriteQueue(wait_seconds=0.01)
    with turns.take():
        with pytest.raises(DatabaseUnavailable, match="busy"), turns.take():
            pass
        with pytest.raises(DatabaseUnavailable, match="busy"), turns.take():
            pass
    with turns.take():
        pass


def test_a_turn_that_ends_in_an_error_is_given_on() -> None:
    turns = WriteQueue(wait_seconds=0.01)
    with pytest.raises(ZeroDivisionError), turns.take():
        _ = 1 / 0
    with turns.take():
        pass
