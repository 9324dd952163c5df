"""The paths in a run folder `RUNS_DIR/<job>/<attempt>`, for workers and the service.

A path from the database or from a trainer is only a claim: before anything is opened or deleted there, it has
to lie in the folder of its job, with all symbolic links followed.
"""

import os
import re
from pathlib import Path

LAUNCH_FILE = "launch.json"
SPEC_FILE = "spec.json"
EVENTS_FILE = "events.jsonl"
LOG_FILE = "trainer.log"
LEASE_FILE = "lease"
SURVEYS_DIR = ".surveys"  # beside the jobs' folders
CHECKPOINTS_DIR = "checkpoints"

TENSORS_FILE = "state.safetensors"  # of a checkpoint
MANIFEST_FILE = "manifest.json"
MANIFEST_DIGEST = "tensors_sha256"

MEMBER_NAME = re.compile(r"member-[1-9]\d*")
ATTEMPT_NAME = re.compile(r"[1-9]\d*")
FOUND_NAME = re.compile(r"[1-9]\d*\.found-(\d+)")
CHECKPOINT_NAME = re.compile(r"step-\d+")
UNFINISHED_NAME = re.compile(r"\.step-\d+\.\d+")
CHECKPOINT_PATH = re.compile(rf"[^/]+/{CHECKPOINTS_DIR}/{CHECKPOINT_NAME.pattern}")


def member_name(rank: int) -> str:
    """The folder, in an attempt's run folder, of the trainer with this rank above 0."""
    return f"member-{rank}"


def job_folder(runs_dir: Path, job_id: int) -> Path:
    """The folder with the run folders of a job."""
    return runs_dir / str(job_id)


def run_folder(runs_dir: Path, job_id: int, number: int) -> Path:
    """The run folder of a job's attempt."""
    return job_folder(runs_dir, job_id) / str(number)


def path_within(path: Path | str, of_job: Path) -> str:
    """A path relative to the folder of a job, as in `2/trainer.log`; empty if it lies elsewhere."""
    try:
        real, runs_dir = os.path.realpath(path), os.path.realpath(of_job.parent)
    except ValueError:  # NUL, which no path has
        return ""
    start = f"{runs_dir.rstrip('/')}/{of_job.name}/"
    return real.removeprefix(start) if real.startswith(start) else ""


def is_checkpoint(path: Path | str, of_job: Path) -> bool:
    """Whether a path can be that of a checkpoint in the folder of a job."""
    return CHECKPOINT_PATH.fullmatch(path_within(path, of_job)) is not None


def job_folder_of(run_dir: Path) -> Path:
    """The folder of the job, given a trainer's own."""
    return run_dir.parents[1 if MEMBER_NAME.fullmatch(run_dir.name) else 0]


def runs_dir_of(run_dir: Path) -> Path:
    """The folder in which the jobs' folders lie, given a trainer's own."""
    return job_folder_of(run_dir).parent


def checkpoint_name(step: int) -> str:
    """The folder of a checkpoint; names sort as steps do."""
    return f"step-{step:010d}"


def unfinished_name(step: int, *, pid: int) -> str:
    """The folder of a checkpoint while a trainer writes it."""
    return f".{checkpoint_name(step)}.{pid}"


def found_name(attempt_folder: str, *, at_ns: int) -> str:
    """The new name of a folder that was found, at that moment, at the path of a new attempt's folder."""
    return f"{attempt_folder}.found-{at_ns}"
