"""A process that lives as long as the one that started it."""

import signal
import subprocess
import sys

TIED = "from service.parent import stop_when_parent_ends; stop_when_parent_ends(); "


def start_tied(code: str) -> subprocess.Popen[bytes]:
    """Start Python code whose input is a pipe of ours."""
    return subprocess.Popen(
        [sys.executable, "-c", TIED + code], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_a_tied_process_may_end_before_its_parent() -> None:
    with start_tied("import sys; sys.exit(3)") as child:
        assert child.stderr is not None
        assert child.stderr.read() == b""
        assert child.wait() == 3


def test_a_tied_process_is_told_to_stop_when_its_parent_has_ended() -> None:
    with start_tied("import signal; signal.pause()") as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait() == -signal.SIGTERM
