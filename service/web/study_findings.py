"""What studies came to, judged at most once for each change: a report takes up to seconds.

Pages are made in threads, never in the event loop, so that nobody else waits for SciPy.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cnnctl.client import Client
from cnnctl.views.studies import StudyReport, StudyRunView, StudyView

MOST_KEPT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A report, and the runs that it is made of, without their numbers."""

    report: StudyReport
    runs: Sequence[StudyRunView]


@dataclass(eq=False)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    finding: Finding | None = None


class Findings:
    """The newest findings; a study whose view is the same has the same runs, and so the same finding."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[StudyView, _Entry] = OrderedDict()

    def find(self, view: StudyView) -> Finding | None:
        """What a study came to, where that is known already."""
        with self._lock:
            entry = self._entries.get(_key(view))
        return entry.finding if entry else None

    def get(self, client: Client, view: StudyView) -> Finding:
        """What a study came to; whoever asks meanwhile waits for the same.

        Raises:
            StudyNotFound, SpecError, MissingExtra: see `get_study_report`.
        """
        with self._lock:
            entry = self._entries.setdefault(_key(view), _Entry())
            self._entries.move_to_end(_key(view))
            while len(self._entries) > MOST_KEPT:
                self._entries.popitem(last=False)
        with entry.lock:
            if entry.finding is None:
                entry.finding = _judge(client, view.study)
            return entry.finding


def _key(view: StudyView) -> StudyView:
    return replace(view, seconds_left=None)


def _judge(client: Client, study: int) -> Finding:
    report = client.get_study_report(study)
    runs = [
        replace(run, numbers=None if run.numbers is None else {})
        for run in client.get_study_evidence(study).runs
    ]
    return Finding(report=report, runs=runs)


FINDINGS = Findings()
