"""The log of a job's newest attempt: from the run folder where it can be read, else its end from SQL."""

import os
from codecs import getincrementaldecoder
from pathlib import Path

from cnnctl.views.jobs import LogView
from service.commands.jobs.files import open_if_ours
from service.domain.jobs import Attempt, JobId
from service.domain.run_folder import LOG_FILE
from service.domain.states import FINISHED
from service.settings import Settings
from service.store.jobs import attempts, jobs, logs
from service.store.transaction import Store

MOST_BYTES = 256 * 1024  # of one part
TAIL_BYTES = 32 * 1024


def read_log(
    store: Store, settings: Settings, job_id: JobId, *, attempt: int = 0, start: int = 0, tail: bool = False
) -> LogView:
    """A part of the newest attempt's log: from byte `start` if `attempt` is its number, else from the first.

    With `tail`, whatever the start: its last lines, at most `TAIL_BYTES` of them.

    Where the run folder is not at hand in CNNCTL_RUNS_DIR, it is what SQL has: the last 64 KiB.

    Raises:
        JobNotFound: there is no such job.
    """
    with store.reading() as tx:
        ended = jobs.get_job(tx, job_id).state in FINISHED
        tries = attempts.list_attempts(tx, job_id)
        newest = tries[-1] if tries else None
        kept = logs.get_log_tail(tx, newest.id) if newest else ""
    if newest is None:
        return LogView(text="", attempt=0, next=0, continues=True, finished=ended)
    start = -TAIL_BYTES if tail else start if newest.number == attempt else 0
    found = _read_file(settings, newest, start, ended=ended)
    return found or LogView(text=kept, attempt=newest.number, next=0, continues=False, finished=ended)


def _read_file(settings: Settings, attempt: Attempt, start: int, *, ended: bool) -> LogView | None:
    """The part, without a character that is not whole yet; None where the file is not at hand.

    A negative start counts from the end, and the part begins with a whole line.
    """
    file = open_if_ours(settings, attempt.job_id, Path(attempt.run_dir) / LOG_FILE)
    if file is None:
        return None
    with file:
        size = os.fstat(file.fileno()).st_size
        from_end = start < 0
        start = max(0, size + start) if from_end else start if start <= size else 0
        file.seek(start)
        if from_end and start:
            start += len(file.readline(TAIL_BYTES))
        part = file.read(MOST_BYTES)
    last = ended and start + len(part) >= size
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    text = decoder.decode(part, final=last)
    end = start + len(part) - len(decoder.getstate()[0])
    return LogView(text=text, attempt=attempt.number, next=end, continues=start > 0, finished=last)
