"""The log of a job's newest attempt: from the run folder where it can be read, else its end from SQL."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from service.domain.jobs import Attempt, JobId
from service.domain.run_folder import LOG_FILE, job_folder, path_within
from service.domain.states import FINISHED
from service.settings import Settings
from service.store.jobs import attempts, jobs, logs
from service.store.transaction import Store


def read_log(store: Store, settings: Settings, job_id: JobId) -> str:
    """The whole log, or its last 64 KiB where the run folder is not at hand in CNNCTL_RUNS_DIR.

    Raises:
        JobNotFound: there is no such job.
    """
    attempt = _newest_attempt(store, job_id)
    if attempt is None:
        return ""
    path = Path(attempt.run_dir) / LOG_FILE
    if path_within(path, job_folder(settings.runs_dir, job_id)) == f"{attempt.number}/{LOG_FILE}":
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            return path.read_text(errors="replace")
    with store.reading() as tx:
        return logs.get_log_tail(tx, attempt.id)


def follow_log(store: Store, settings: Settings, job_id: JobId, pause: Callable[[], object]) -> Iterator[str]:
    """Yield what is new in the log until the job ends; `pause` is called between two reads."""
    shown = ""
    while True:
        with store.reading() as tx:
            ended = jobs.get_job(tx, job_id).state in FINISHED
        text = read_log(store, settings, job_id)
        yield text.removeprefix(shown) if text.startswith(shown) else _after_overlap(shown, text)
        shown = text
        if ended:
            return
        pause()


def _after_overlap(shown: str, text: str) -> str:
    """The part of `text` after the last line that was shown: SQL keeps only the end of a log."""
    last_line = shown.rstrip("\n").rpartition("\n")[2]
    _, found, rest = text.rpartition(last_line + "\n")
    return rest if found and last_line else text


def _newest_attempt(store: Store, job_id: JobId) -> Attempt | None:
    with store.reading() as tx:
        jobs.get_job(tx, job_id)
        tries = attempts.list_attempts(tx, job_id)
    return tries[-1] if tries else None
