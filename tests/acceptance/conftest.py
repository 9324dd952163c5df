"""A stack of real processes, driven through the command line as a person would."""

from collections.abc import Iterator

import pytest

from tests.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Scheduler and worker on SQLite and message files, for all files of the group `stack`."""
    stack = Stack(
        tmp_path_factory.mktemp("stack") / "home",
        CNNCTL_LEASE_SECONDS="30",
        CNNCTL_RESEND_SECONDS="15",
        CNNCTL_WEBHOOK_HOSTS="127.0.0.1",
    )
    stack.cnnctl("db", "upgrade")
    stack.start("scheduler")
    stack.start("worker")
    yield stack
    stack.close()
