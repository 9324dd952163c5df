"""The trainer process: sets itself up, trains, and always leaves a final event in the event log."""

import gc
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from service.domain import run_folder as files
from service.domain.endings import NO_SPACE
from service.domain.states import Outcome
from service.domain.trainer_events import Ended
from workers.process_tree import MARK
from workers.train.process.failure_cause import explain
from workers.train.process.launch import load_launch
from workers.train.process.reporter import Reporter
from workers.train.process.stopping import StopFlag, Stopped


def run_trainer(run_dir: str) -> None:
    """Train the attempt of a run folder in this process, in its own process group."""
    folder = Path(run_dir)
    gc.freeze()  # imported objects stay: each garbage collection over them would take 0.1 s
    os.setsid()
    os.environ[MARK] = run_dir
    _send_output_to(folder / files.LOG_FILE)
    stop = StopFlag()
    stop.listen()
    reporter = Reporter(folder / files.EVENTS_FILE)
    try:
        status = _train(folder, reporter, stop)
    except OSError:
        status = NO_SPACE  # not even for the final event
    sys.exit(status)


def _train(folder: Path, reporter: Reporter, stop: StopFlag) -> int:
    try:
        launch = load_launch(folder)
        stop.watch_lease(folder / files.LEASE_FILE, lease_seconds=launch.lease_seconds)
        # TensorFlow is imported here, after settings such as its log level are applied.
        from service.domain.spec import read_spec
        from workers.train.trainer import Trainer

        spec = read_spec((folder / files.SPEC_FILE).read_text())
        ended = Trainer(spec, launch, folder, reporter, stop).run()
    except Stopped as stopped:
        reason = f"{stopped}; stopped before its first step"
        reporter.ended(Ended(outcome=Outcome.INTERRUPTED, reason=reason))
        return 0
    except Exception as error:
        with suppress(OSError):  # the disk may be full for the log, too
            traceback.print_exc()
        cause, reason = explain(error)
        reporter.ended(Ended(outcome=Outcome.FAILED, reason=reason, cause=cause.value))
        return 1
    reporter.ended(ended)
    return 0


def _send_output_to(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
