"""What lies where in a run folder `RUNS_DIR/<job>/<attempt>`, for workers and the service."""

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


def member_name(rank: int) -> str:
    """In the run folder of an attempt over several hosts, that of the trainer with this rank above 0."""
    return f"member-{rank}"


def runs_dir_of(run_dir: Path) -> Path:
    """The folder in which the jobs' folders lie, given a trainer's own."""
    return run_dir.parents[2 if MEMBER_NAME.fullmatch(run_dir.name) else 1]


def checkpoint_name(step: int) -> str:
    """The folder of a checkpoint; names sort as steps do."""
    return f"step-{step:010d}"


def unfinished_name(step: int, *, pid: int) -> str:
    """The folder of a checkpoint while a trainer writes it."""
    return f".{checkpoint_name(step)}.{pid}"


def found_name(attempt_folder: str, *, at_ns: int) -> str:
    """What a folder is renamed to that lay, at that moment, where a new attempt's folder was to be."""
    return f"{attempt_folder}.found-{at_ns}"
