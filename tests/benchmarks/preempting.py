"""What a preemption costs, and how soon it lets others start.

The cost is the GPU time in which a LeNet-5 job that gives way and comes back does not train.
"""

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from service.domain.jobs import Attempt
from tests.benchmarks.figures import Figure
from tests.benchmarks.service_stack import ServiceStack, read_events, running_service

ROUNDS = 5
QUANTUM_SECONDS = 3
GOAL = 1.5
LONG = {"data.dataset": "digits", "training.epochs": 150}
SHORT = {"data.dataset": "digits", "training.epochs": 1}
GANG = {**SHORT, "resources.gpus": 4}
GANG_QUANTUM_SECONDS = 10


def figures() -> Iterator[Figure]:
    yield from _measure_preemptions()
    yield _measure_gang()


def _measure_gang() -> Figure:
    """A job on all four GPUs, among jobs on one each of somebody else."""
    quantum = GANG_QUANTUM_SECONDS
    with running_service(CNNCTL_GPUS="sim:4", CNNCTL_QUANTUM_SECONDS=f"{quantum}") as service:
        service.finish(service.submit("lenet5", SHORT))
        small = [service.submit("lenet5", LONG, owner="ada") for _ in range(8)]
        while not service.attempts(small[3]):
            time.sleep(0.1)
        submitted = time.time()
        gang = service.submit("lenet5", GANG, owner="bob")
        service.wait(gang)
        seconds = _first_step_at(service.attempts(gang)[0]) - submitted
    name, goal = "gang_of_4_among_small_jobs_to_first_step", f"one quantum of {quantum} s and a start"
    return Figure(name=name, ratio=seconds, unit="s", goal=goal)


def _measure_preemptions() -> Iterator[Figure]:
    with running_service(CNNCTL_GPUS="sim:1", CNNCTL_QUANTUM_SECONDS=f"{QUANTUM_SECONDS}") as service:
        service.finish(service.submit("lenet5", SHORT))  # the worker imports TensorFlow once
        rounds = [_give_way(service) for _ in range(ROUNDS)]
    medians = {name: statistics.median(times[name] for times in rounds) for name in rounds[0]}
    for part in ("stop", "resume"):
        yield Figure(
            name=f"preemption_{part}", ratio=medians[part], unit="s", goal="a part of the figure below"
        )
    lost = [times["stop"] + times["resume"] for times in rounds]
    name, goal = (
        "preemption_short_job_to_first_step",
        "at most 5, from its submission while all GPUs are held",
    )
    yield Figure(name=name, ratio=medians["for"], unit="s", goal=goal)
    goal = f"under {GOAL} s; {min(lost):.2f} to {max(lost):.2f} in {ROUNDS} preemptions"
    yield Figure(name="preemption_lost_work", ratio=statistics.median(lost), unit="s", goal=goal)


def _give_way(service: ServiceStack) -> Mapping[str, float]:
    """Seconds without training: from the last step to the GPU's release, from its next lease to a step."""
    long = service.submit("lenet5", LONG, owner="ada")
    while not _has_held(service.attempts(long), seconds=QUANTUM_SECONDS):
        time.sleep(0.1)
    submitted = time.time()
    short = service.submit("lenet5", SHORT, owner="bob")
    service.wait(short)
    service.wait(long)
    first, second = service.attempts(long)
    assert first.ended_at
    return {
        "for": _first_step_at(service.attempts(short)[0]) - submitted,
        "stop": first.ended_at.timestamp() - _last_step_at(first),
        "resume": _first_step_at(second) - second.created_at.timestamp() + _redone_seconds(first, second),
    }


def _has_held(attempts: Sequence[Attempt], *, seconds: float) -> bool:
    return bool(attempts) and time.time() - attempts[0].created_at.timestamp() > seconds


def _last_step_at(attempt: Attempt) -> float:
    return max(
        float(event["at"])
        for event in read_events(Path(attempt.run_dir))
        if event["kind"] in ("points", "progress")
    )


def _first_step_at(attempt: Attempt) -> float:
    return next(
        float(event["at"]) for event in read_events(Path(attempt.run_dir)) if event["kind"] == "started"
    )


def _redone_seconds(first: Attempt, second: Attempt) -> float:
    """What the steps that are lost had taken; none are where the checkpoint was written at the stop."""
    assert first.progress
    assert first.started_at
    assert first.ended_at
    assert second.start_step is not None
    steps = first.progress.step - (first.start_step or 0)
    pace = (first.ended_at - first.started_at).total_seconds() / max(1, steps)
    return max(0, first.progress.step - second.start_step) * pace
