"""Trees of real processes: stubborn ones, and ones that leave children behind in every way there is."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.process import find_start
from workers.process_tree import MARK, ProcessTree

# A leader that ignores SIGTERM and has a child that does the same, and says so when both are there.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    print("ready", flush=True)
time.sleep(600)
"""
# Children that leave the leader's group: forked, forked into a session of its own, a program without output.
LEAVING = f"""
import os, subprocess, sys, time
os.environ["{MARK}"] = sys.argv[1]
events = open(sys.argv[1] + "/events.jsonl", "a")
child = os.fork()
if not child:
    os.setsid()
    if not os.fork():
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)  # as a daemon does; it still holds the event log
        time.sleep(600)
    os._exit(0)
os.waitpid(child, 0)  # when it says that it is ready, there are three of them, and stay
nothing = subprocess.DEVNULL
words = [sys.executable, "-c", "import time; time.sleep(600)"]
subprocess.Popen(words, start_new_session=True, stdout=nothing, stderr=nothing, stdin=nothing)
print("ready", flush=True)
time.sleep(600)
"""

# A program without output that opens and closes files all the time, as a starting Python does.
BUSY = f"""
import os, subprocess, sys, time
os.environ["{MARK}"] = sys.argv[1]
nothing = subprocess.DEVNULL
words = [sys.executable, "-c", "while True: open('/dev/null').close()"]
subprocess.Popen(words, start_new_session=True, stdout=nothing, stderr=nothing, stdin=nothing)
print("ready", flush=True)
time.sleep(600)
"""

Start = Callable[[str], ProcessTree]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program as the leader of a session and wait until it says that it is ready."""
    started: list[tuple[subprocess.Popen[bytes], ProcessTree]] = []
    log = tmp_path / "trainer.log"

    def run(program: str) -> ProcessTree:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", program, str(tmp_path)], stdout=output, start_new_session=True
            )
        tree = ProcessTree(pid=process.pid, started=find_start(process.pid), run_dir=str(tmp_path))
        started.append((process, tree))
        deadline = time.monotonic() + 20
        while "ready" not in log.read_text():
            assert time.monotonic() < deadline
        return tree

    yield run
    for process, tree in started:
        tree.kill()
        process.wait()


def wait_until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not met():
        assert time.monotonic() < deadline


def kill_leader(tree: ProcessTree) -> None:
    assert tree.pid is not None
    os.kill(tree.pid, 9)
    wait_until(lambda: not tree.is_alive())


def test_a_stubborn_tree_is_killed_with_its_children_and_proven_gone(start: Start) -> None:
    tree = start(STUBBORN)
    tree.terminate()
    assert tree.is_alive()
    assert len(tree.members()) == 2
    assert tree.kill()
    assert tree.members() == []
    assert not tree.is_alive()


def test_children_that_outlive_their_leader_are_found(start: Start) -> None:
    tree = start(STUBBORN)
    kill_leader(tree)
    assert len(tree.members()) == 1
    assert tree.kill()


def test_children_that_leave_the_session_and_outlive_their_parent_are_found(start: Start) -> None:
    tree = start(LEAVING)
    assert len(tree.members()) == 3
    kill_leader(tree)
    assert len(tree.members()) == 2
    unknown = ProcessTree(pid=None, started=None, run_dir=tree.run_dir)
    assert unknown.members() == tree.members()
    assert unknown.kill()
    assert tree.members() == []


def test_a_child_that_opens_and_closes_files_meanwhile_is_found_at_every_look(start: Start) -> None:
    tree = start(BUSY)
    kill_leader(tree)
    assert {len(tree.members()) for _ in range(100)} == {1}


def test_a_later_process_of_the_same_number_is_another_one(tmp_path: Path) -> None:
    started = find_start(os.getpid())
    assert started is not None
    here = ProcessTree(pid=os.getpid(), started=started, run_dir=str(tmp_path))
    assert here.is_alive()
    earlier = ProcessTree(pid=os.getpid(), started=started - 1, run_dir=here.run_dir)
    assert not earlier.is_alive()
    assert earlier.members() == []


def test_a_process_that_has_ended_never_started() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert find_start(done.pid) is None


def test_one_whose_start_was_never_known_is_not_alive(tmp_path: Path) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert not ProcessTree(pid=done.pid, started=None, run_dir=str(tmp_path)).is_alive()


def test_a_tree_is_found_through_a_linked_folder(start: Start, tmp_path: Path) -> None:
    tree = start(LEAVING)
    (tmp_path / "link").symlink_to(tmp_path)
    linked = ProcessTree(pid=None, started=None, run_dir=str(tmp_path / "link"))
    assert len(tree.members()) == 3
    assert linked.members() == tree.members()


def test_a_stored_number_of_another_process_is_not_believed(start: Start, tmp_path: Path) -> None:
    tree = start(STUBBORN)
    assert tree.proven() == tree
    (tmp_path / "trainer.log").unlink()
    assert tree.proven() == tree  # it has the log open all the same
    own = ProcessTree(pid=os.getpid(), started=find_start(os.getpid()), run_dir=str(tmp_path))
    assert own.proven() == ProcessTree(pid=None, started=None, run_dir=str(tmp_path))
    kill_leader(tree)
    assert len(tree.proven().members()) == 1


def test_who_only_reads_a_log_does_not_belong_to_it(start: Start, tmp_path: Path) -> None:
    tree = start(STUBBORN)
    reader = subprocess.Popen(["tail", "-f", str(tmp_path / "trainer.log")], stdout=subprocess.DEVNULL)
    assert tree.kill()
    assert reader.poll() is None
    reader.kill()
    reader.wait()
