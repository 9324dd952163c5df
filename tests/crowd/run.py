"""Submits the jobs of five people at once, cancels some, waits for all, and counts who held the GPUs."""

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from service.commands.jobs.control import cancel
from service.commands.jobs.submit import submit
from service.commands.people.users import change_user
from service.domain.jobs import Job, JobId
from service.domain.people import Actor
from service.domain.states import FINISHED, JobState
from service.settings import load_settings
from service.store.fleet import leases
from service.store.fleet.leases import Holding
from service.store.jobs import jobs
from service.store.transaction import Store
from tests.stack import Stack

WEIGHTS = {"ada": 1.0, "bob": 1.0, "cleo": 2.0, "dan": 2.0, "eve": 4.0}
GPUS = 4
CANCELLED = 0.1  # of all jobs
EPOCHS = (20, 60)  # of LeNet-5 on digits: seconds
ALLOWED = 0.1  # of a share
LONGEST_SECONDS = 1800.0
OPERATOR = Actor(name="operator", operator=True)


@dataclass(kw_only=True)
class Report:
    """How many jobs ended how, each person's part of the GPUs while all had work, and what went wrong."""

    states: Mapping[str, int]
    seconds: float
    shares: Mapping[str, float]
    wrong: list[str] = field(default_factory=list)

    def text(self) -> str:
        whole = sum(WEIGHTS.values())
        shares = [
            f"{name:5} weight {weight:g}: {self.shares[name]:.3f} of the GPU time, {weight / whole:.3f} due"
            for name, weight in WEIGHTS.items()
        ]
        return "\n".join(
            [
                f"all had work for {self.seconds:.0f} s; {dict(self.states)}",
                *shares,
                *(f"WRONG: {line}" for line in self.wrong),
            ]
        )


def run_crowd(home: Path, *, jobs: int, seed: int) -> Report:
    """Run it on a stack of its own in this folder."""
    stack = Stack(home, CNNCTL_GPUS=f"sim:{GPUS}", CNNCTL_QUANTUM_SECONDS="5")
    try:
        stack.cnnctl("db", "upgrade")
        store = stack.store
        for name, weight in WEIGHTS.items():
            change_user(store, name, {"weight": weight}, actor=OPERATOR)
        submitted = _submit_all(store, jobs, random.Random(seed))
        stack.start("scheduler")
        stack.start("worker")
        _cancel_some(store, submitted, random.Random(seed))
        return _judge(store, _wait(store))
    finally:
        stack.close()


def _submit_all(store: Store, count: int, chance: random.Random) -> Sequence[JobId]:
    """Jobs of random lengths in random order, as many of each person as are due: all have work to the end."""
    owners = [
        name
        for name, weight in WEIGHTS.items()
        for _ in range(max(1, round(count * weight / sum(WEIGHTS.values()))))
    ]
    chance.shuffle(owners)
    return [_submit(store, owner, chance) for owner in owners]


def _submit(store: Store, owner: str, chance: random.Random) -> JobId:
    fields = {
        "data.dataset": "digits",
        "training.epochs": chance.randint(*EPOCHS),
        "resources.gpus": chance.choice((1, 1, 1, 2)),
    }
    return JobId(submit(store, load_settings(), "lenet5", fields, owner=Actor(name=owner)).job)


def _cancel_some(store: Store, submitted: Sequence[JobId], chance: random.Random) -> None:
    """Cancel jobs while others end, whether they wait, run or are done."""
    chosen = chance.sample(submitted, round(len(submitted) * CANCELLED))
    for place, number in enumerate(chosen, start=1):
        _wait(store, ended=place * len(submitted) // (2 * len(chosen)))
        with store.reading() as tx:
            over = jobs.get_job(tx, number).state in FINISHED
        if not over:
            cancel(store, number, actor=OPERATOR)


def _wait(store: Store, *, ended: int | None = None) -> Sequence[Job]:
    """Wait until so many jobs have ended, or all; all jobs as they are then."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        with store.reading() as tx:
            found = jobs.list_jobs(tx)
        if sum(job.state in FINISHED for job in found) >= (len(found) if ended is None else ended):
            return found
        time.sleep(0.5)
    raise RuntimeError(f"after {LONGEST_SECONDS:g} s: {Counter(job.state.value for job in found)}")


def _judge(store: Store, ended: Sequence[Job]) -> Report:
    with store.reading() as tx:
        holdings = leases.list_holdings(tx)
        held = leases.list_holders(tx)
    since = min(one.acquired_at for one in holdings)
    until = _first_without_work(ended, holdings)
    seconds = {
        name: sum(_inside(one, since, until) for one in holdings if one.owner == name) for name in WEIGHTS
    }
    whole = sum(seconds.values())
    report = Report(
        states=Counter(job.state.value for job in ended),
        seconds=(until - since).total_seconds(),
        shares={name: one / whole for name, one in seconds.items()},
    )
    report.wrong += [f"job {job.id} failed: {job.reason}" for job in ended if job.state is JobState.FAILED]
    report.wrong += [f"GPU {uuid} was never given back" for uuid in held]
    report.wrong += _far_off(report.shares)
    return report


def _first_without_work(ended: Sequence[Job], holdings: Sequence[Holding]) -> datetime:
    """When the first person had no job left that waited."""
    first_lease = {
        one.job_id: one.acquired_at for one in sorted(holdings, key=lambda one: one.acquired_at)[::-1]
    }
    last_start = {
        name: max(
            (first_lease[job.id] for job in ended if job.owner == name and job.id in first_lease),
            default=holdings[0].acquired_at,
        )
        for name in WEIGHTS
    }
    return min(last_start.values())


def _inside(one: Holding, since: datetime, until: datetime) -> float:
    """For how many seconds of this time a GPU was held."""
    return max(0.0, (min(one.released_at or until, until) - max(one.acquired_at, since)).total_seconds())


def _far_off(shares: Mapping[str, float]) -> Sequence[str]:
    whole = sum(WEIGHTS.values())
    off = {name: shares[name] / (weight / whole) - 1.0 for name, weight in WEIGHTS.items()}
    return [f"{name} had {part:+.0%} of what was due" for name, part in off.items() if abs(part) > ALLOWED]
