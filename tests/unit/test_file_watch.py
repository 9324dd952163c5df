"""A watch wakes up for what is written, also for what was written before it waits."""

import threading
import time
from contextlib import closing
from pathlib import Path

from service.dispatch.file_watch import FileWatch


def test_what_is_written_wakes_up_at_once_and_silence_lasts_as_long_as_asked(tmp_path: Path) -> None:
    with closing(FileWatch(tmp_path)) as watch:
        (tmp_path / "before").write_text("written before it waits")
        started = time.monotonic()
        watch.wait(10)
        threading.Timer(0.2, (tmp_path / "while").write_text, ["written while it waits"]).start()
        watch.wait(10)
        assert 0.2 <= time.monotonic() - started < 5
        started = time.monotonic()
        watch.wait(0.3)
        assert time.monotonic() - started >= 0.3
