"""Groups of real processes: stubborn ones, and ones that leave children behind."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from workers.process_group import ProcessGroup, find_group

# A leader that ignores SIGTERM and has a child that does the same, and says so when both are there.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def leader() -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_stubborn_group_is_killed_with_its_children_and_proven_gone(
    leader: "subprocess.Popen[str]",
) -> None:
    group = find_group(leader.pid)
    assert group is not None
    group.terminate()
    assert group.is_alive()
    assert len(group.members()) == 2
    assert group.kill()
    assert group.members() == []
    assert not group.is_alive()


def test_children_that_outlive_their_leader_are_found(leader: "subprocess.Popen[str]") -> None:
    group = find_group(leader.pid)
    assert group is not None
    leader.kill()
    leader.wait()
    deadline = time.monotonic() + 10
    while group.is_alive():
        assert time.monotonic() < deadline
    assert len(group.members()) == 1
    assert group.kill()


def test_a_later_process_of_the_same_number_is_another_one() -> None:
    here = find_group(os.getpid())
    assert here is not None
    assert here.is_alive()
    assert not ProcessGroup(pid=here.pid, started=here.started - 1).is_alive()


def test_a_process_that_has_ended_leads_no_group() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert find_group(done.pid) is None
