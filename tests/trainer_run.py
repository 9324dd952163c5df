"""A run folder with its trainer, started as a worker does, and what the trainer said."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from service.domain import run_folder as files
from service.domain.spec_request import resolve_spec
from workers.attempts.starter import Starter
from workers.train.checkpoints.files import Snapshot, read_checkpoint
from workers.train.process.launch import Launch

NEVER = 1e9


class Run:
    """One run folder and what its trainer said."""

    def __init__(self, folder: Path, starter: Starter) -> None:
        self.folder = folder
        self._starter = starter

    def start(
        self,
        *,
        architecture: str = "lenet5",
        gpus: int = 1,
        threads: int | None = None,
        resume_from: tuple[str, ...] = (),
        datasets_dir: str = "",
        data_roots: tuple[str, ...] = (),
        lease_seconds: float = NEVER,
        stop_at_once: bool = False,
        cluster: tuple[str, ...] = (),
        rank: int = 0,
        checkpoint_seconds: float = 0.0,
        fields: dict[str, object] | None = None,
        spec_text: str = "",
    ) -> "Run":
        """Start the trainer, with a spec of these fields or with a stored one.

        Each GPU has one thread unless said: two would make two shards, which takes half as long again.
        """
        self.folder.mkdir(parents=True)
        wanted = {"resources.gpus": gpus * max(1, len(cluster)), **(fields or {})}
        spec_text = spec_text or resolve_spec(architecture, wanted).to_json()
        (self.folder / files.SPEC_FILE).write_text(spec_text)
        Launch(
            gpu_uuids=tuple(f"sim-{number}" for number in range(gpus)),
            simulated=True,
            threads=threads or gpus,
            datasets_dir=datasets_dir,
            data_roots=data_roots,
            resume_from=resume_from,
            lease_seconds=lease_seconds,
            cluster=cluster,
            rank=rank,
            checkpoint_seconds=checkpoint_seconds,
        ).save(self.folder)
        self.process = self._starter.start(self.folder)
        if stop_at_once:
            # The log is opened before signals are listened to, the event log after.
            while not (self.folder / files.EVENTS_FILE).exists():
                time.sleep(0.001)
            self.terminate()
        return self

    def end(self) -> Any:
        """Wait for the trainer's end and return its final event."""
        self.process.join(timeout=120)
        events = self.events()
        assert events, self.log()
        assert events[-1]["kind"] == "ended", self.log()
        return events[-1]

    def wait_for(self, kind: str) -> None:
        """Wait until the trainer has written an event of this kind."""
        deadline = time.monotonic() + 60
        while not any(event["kind"] == kind for event in self.events()):
            assert self.process.is_alive(), self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def terminate(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGTERM)

    def events(self) -> list[Any]:
        path = self.folder / files.EVENTS_FILE
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def values(self, name: str, *, after: int = 0) -> list[float]:
        points = [event for event in self.events() if event["kind"] == "points"]
        found = [event["values"] for event in points if event["step"] > after]
        return [values[name] for values in found if name in values]

    def newest_first(self) -> tuple[str, ...]:
        """The folders of its checkpoints."""
        found = (self.folder / files.CHECKPOINTS_DIR).glob("step-*")
        return tuple(sorted((str(path) for path in found), reverse=True))

    def last_checkpoint(self) -> Snapshot:
        return read_checkpoint(max((self.folder / files.CHECKPOINTS_DIR).glob("step-*")))

    def log(self) -> str:
        return (self.folder / files.LOG_FILE).read_text()
