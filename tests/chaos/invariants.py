"""What must hold whatever happens: watched while it happens, and checked when all is over."""

import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from service.commands.jobs.control import cancel
from service.domain.jobs import JobId
from service.domain.states import Action, JobState
from service.errors import JobConflict
from service.store.fleet.leases import list_holders
from service.store.jobs import jobs
from service.store.jobs.jobs import LARGEST_ID
from service.store.people import audit
from service.store.people.audit_feed import list_entries_between
from tests.chaos.faults import trainers_of
from tests.chaos.live_stack import CHAOS, LiveStack, Recipe, Series

FINAL = {Action.SUCCEEDED, Action.FAILED, Action.CANCELLED}
WATCH_SECONDS, LATE_SECONDS = 0.2, 30.0

Truth = Mapping[str, tuple[str, Series]]  # digest and series of each recipe, undisturbed


class Watch(threading.Thread):
    """Looks all the time for what must never be, and notes it."""

    def __init__(self, live: LiveStack) -> None:
        super().__init__(daemon=True)
        self._live = live
        self._over = threading.Event()
        self._before: set[str] = set()
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self._over.wait(WATCH_SECONDS):
            self._look()

    def stop(self) -> None:
        self._over.set()
        self.join()

    def _look(self) -> None:
        """No job has two trainers; what SQL's unique indexes forbid need not be looked for."""
        folders: defaultdict[str, set[str]] = defaultdict(set)
        for folder in trainers_of(self._live.settings.runs_dir).values():
            folders[str(Path(folder).parent)].add(folder)
        twice = {job for job, attempts in folders.items() if len(attempts) > 1}
        # One look is not one instant: only who is seen twice at once again and again is there at once.
        self.wrong += [f"{job} has two trainers at once" for job in twice & self._before]
        self._before = twice


class Audience(threading.Thread):
    """Listens to the API's stream of events all the time, as a page does."""

    def __init__(self, live: LiveStack) -> None:
        super().__init__(daemon=True)
        self._live = live
        self._told: list[int] = []

    def run(self) -> None:
        for view in self._live.client.follow_events(after=0):
            self._told.append(view.entry)

    def list_wrong(self) -> Sequence[str]:
        """Whether it was told of each audit entry once, in order."""
        read = partial(list_entries_between, after=0, up_to=LARGEST_ID, limit=LARGEST_ID)
        stored = [entry.id for entry in self._live.ask(read)]
        deadline = time.monotonic() + LATE_SECONDS
        while len(self._told) < len(stored) and time.monotonic() < deadline:
            time.sleep(WATCH_SECONDS)
        told = self._told[: len(stored)]
        return [] if told == stored else [f"the stream told {told} of the audit entries {stored}"]


def what_is_wrong(live: LiveStack, truth: Truth) -> Sequence[str]:
    """Everything that is not as it must be, once all jobs have ended."""
    wrong = [
        words for number, recipe in live.submitted.items() for words in _job(live, number, recipe, truth)
    ]
    wrong += [words for number in live.poisoned for words in _poisoned(live, number)]
    names = Counter(job.name for job in live.ask(jobs.list_jobs) if job.name)
    wrong += [f"the job {name} was submitted {count} times" for name, count in names.items() if count > 1]
    wrong += [f"a lease of GPU {uuid} was never given back" for uuid in live.ask(list_holders)]
    left = trainers_of(live.settings.runs_dir)
    return [*wrong, *(f"trainer {pid} of {folder} still runs" for pid, folder in left.items())]


def _job(live: LiveStack, number: JobId, recipe: Recipe, truth: Truth) -> Sequence[str]:
    view, wrong = live.view(number), []
    digest, series = truth[str(recipe)]
    if view["state"] != "succeeded":
        return [f"job {number} is {view['state']}: {view['reason']}"]
    if view["weights_digest"] != digest:
        wrong.append(f"job {number} ends with other weights than undisturbed")
    ours = live.series(number)
    for name in sorted(ours.keys() | series.keys()):
        if ours.get(name) != series.get(name):
            wrong.append(f"job {number}: the series of {name} is not that of the undisturbed run")
    return [*wrong, *_audit(live, number)]


def _poisoned(live: LiveStack, number: JobId) -> Sequence[str]:
    """It waits or has failed with words, is shown, and can be cancelled."""
    if live.state(number) not in (JobState.PAUSED, JobState.QUEUED, JobState.FAILED):
        return [f"poisoned job {number} is {live.state(number).value}"]
    if not live.ask(lambda tx: jobs.get_job(tx, number).reason):
        return [f"nothing says what is wrong with poisoned job {number}"]
    with suppress(JobConflict):
        cancel(live.store, number, actor=CHAOS)
    return []


def _audit(live: LiveStack, number: JobId) -> Sequence[str]:
    """A state that is final is followed by nothing but a person's retry."""
    actions = [event.action for event in live.ask(lambda tx: audit.list_entries(tx, number))]
    return [
        f"job {number}: {before.value} was followed by {after.value}"
        for before, after in itertools.pairwise(actions)
        if before in FINAL and after is not Action.RETRIED
    ]
