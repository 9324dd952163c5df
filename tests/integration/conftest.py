"""A warm parent of trainers, shared by all tests of a session."""

import pytest

from workers.warm import Starter


@pytest.fixture(scope="session")
def starter() -> Starter:
    starter = Starter("forkserver")
    starter.warm_up()
    return starter
