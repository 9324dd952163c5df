"""Remembers the unfinished jobs between ticks, and reads again only those that something happened to.

Whatever changes a job adds an entry to the audit in the same transaction, but for the reason to wait, which
only schedulers write. So new entries name the jobs to read, and when another scheduler has had a turn, all
are read. All are read each minute, too, and after every error: what is remembered can never keep a job
waiting for ever.
"""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import replace

from service.domain.jobs import Job, JobId, Waiting
from service.domain.states import JobState
from service.store.fleet import schedulers
from service.store.fleet.schedulers import Turn
from service.store.jobs import jobs
from service.store.people.audit_feed import SettledEntries, list_jobs_of_entries
from service.store.transaction import Transaction

READ_ALL_SECONDS = 60.0


class RememberedJobs:
    """The queued and running jobs; for one scheduler."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._jobs: dict[JobId, Job] = {}
        self._sorted: Mapping[JobState, Sequence[Job]] = {}
        self._read_all_at = float("-inf")
        self._turns: Set[Turn] = frozenset()
        self._entries = SettledEntries()
        self._settled = 0
        self._newest = JobId(0)
        self._seen: Set[int] = frozenset()  # of the entries that are not settled

    def forget(self) -> None:
        """Read all jobs at the next call: what is remembered may not be what was committed."""
        self._read_all_at = float("-inf")

    def read(self, tx: Transaction) -> tuple[Set[JobId], bool]:
        """Read what has changed; return the numbers of the changed jobs, and whether all were read.

        Then a job may have run meanwhile although its row is as it was.
        """
        is_due = self._clock() - self._read_all_at >= READ_ALL_SECONDS
        if is_due or schedulers.list_turns(tx) != self._turns:
            return self._read_all(tx), True
        after, (self._settled, _) = self._settled, self._entries.find_settled(tx)
        entries = list_jobs_of_entries(tx, after=after)
        changed = {job_id for number, job_id in entries.items() if number not in self._seen}
        self._seen = {number for number in entries if number > self._settled}
        changed |= self._find_submitted(tx)
        self._replace(changed, jobs.list_unfinished(tx, changed))
        return changed, False

    def list_in(self, state: JobState) -> Sequence[Job]:
        """The jobs in a state, in the order of submission."""
        if not self._sorted:
            found: dict[JobState, list[Job]] = {JobState.QUEUED: [], JobState.RUNNING: []}
            for _, job in sorted(self._jobs.items()):
                found[job.state].append(job)
            self._sorted = found
        return self._sorted[state]

    def get(self, job_id: JobId) -> Job:
        """A job that is queued or running."""
        return self._jobs[job_id]

    def end_turn(self, tx: Transaction, waits: Collection[Waiting]) -> None:
        """Remember, once the transaction has committed, what it has written of waiting jobs."""
        turns = schedulers.list_turns(tx)
        tx.after_commit(lambda: self._note(turns, waits))

    def _note(self, turns: Set[Turn], waits: Collection[Waiting]) -> None:
        self._turns = turns
        for wait in waits:
            job = self._jobs[wait.job_id]
            self._jobs[job.id] = replace(job, reason=wait.reason, estimated_start_at=wait.estimated_start_at)
        if waits:
            self._sorted = {}

    def _find_submitted(self, tx: Transaction) -> Set[JobId]:
        """The jobs with a number above all that were there before: no submission waits for its entry."""
        submitted = jobs.list_numbers_after(tx, self._newest)
        self._newest = max(submitted, default=self._newest)
        return set(submitted)

    def _read_all(self, tx: Transaction) -> Set[JobId]:
        self._settled, _ = self._entries.find_settled(tx)
        self._seen = list_jobs_of_entries(tx, after=self._settled).keys()
        self._newest = jobs.find_newest_number(tx)
        found = [job for state in jobs.UNFINISHED for job in jobs.list_jobs_in(tx, state)]
        before, now = self._jobs, {job.id: job for job in found}
        changed = {job_id for job_id in before.keys() | now.keys() if before.get(job_id) != now.get(job_id)}
        self._replace(changed, [now[job_id] for job_id in changed if job_id in now])
        self._read_all_at = self._clock()
        return changed

    def _replace(self, changed: Set[JobId], found: Collection[Job]) -> None:
        for job_id in changed:
            self._jobs.pop(job_id, None)
        self._jobs.update((job.id, job) for job in found)
        if changed:
            self._sorted = {}
