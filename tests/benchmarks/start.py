"""Submit to first step, through the whole service with a warm worker, against a plain Keras script."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from service.domain import run_folder as files
from tests.benchmarks.figures import Figure
from tests.benchmarks.service_stack import ServiceStack, running_service

ROUNDS = 3
GOALS = {1: 0.12, 2: 0.18}
SCRIPT = Path(__file__).with_name("plain_start.py")
FIELDS = {"data.dataset": "digits", "training.epochs": 1}


def figures() -> Iterator[Figure]:
    with running_service(CNNCTL_GPUS="sim:2") as service:
        for devices, goal in GOALS.items():
            yield from _compare(service, devices, goal=goal)


def _compare(service: ServiceStack, devices: int, *, goal: float) -> Iterator[Figure]:
    _start_job(service, devices)  # the worker imports TensorFlow once, and files come into the cache
    rounds = [{**_start_job(service, devices), "script": _start_script(devices)} for _ in range(ROUNDS)]
    medians = {name: statistics.median(times[name] for times in rounds) for name in rounds[0]}
    name = f"start_{devices}_device"
    for part, seconds in medians.items():
        yield Figure(name=f"{name}_{part}", ratio=1000 * seconds, unit="ms", goal="a part of the ratio below")
    ratio = medians["service"] / medians["script"]
    yield Figure(name=f"{name}_against_script", ratio=ratio, unit="times", goal=f"at most {goal}")


def _start_job(service: ServiceStack, devices: int) -> Mapping[str, float]:
    """Seconds from the submission to the first step, and those of its parts."""
    submitted = time.time()
    job_id = service.submit("lenet5", {**FIELDS, "resources.gpus": devices})
    stored = time.time()
    started = next(event["at"] for event in service.finish(job_id) if event["kind"] == "started")
    forked = (service.run_folder(job_id) / files.LAUNCH_FILE).stat().st_mtime
    return {
        "submit": stored - submitted,
        "queue": forked - stored,
        "trainer": started - forked,
        "service": started - submitted,
    }


def _start_script(devices: int) -> float:
    """Seconds from the start of Python to the script's first step."""
    began = time.time()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(devices)], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1]) - began
