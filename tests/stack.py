"""A stack of real processes in a folder of its own, driven through the command line as a person would."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from click.testing import CliRunner, Result

from cnnctl.views.codec import to_json
from service.cli.main import main
from service.commands.fleet.gpus import list_gpu_views
from service.commands.jobs.status import get_job_view
from service.domain.jobs import JobId
from service.process import find_start
from service.settings import Settings, load_settings
from service.store.transaction import Store, open_store

ROOT = Path(__file__).resolve().parents[1]
LOOK_SECONDS = 0.05
PROGRAMS = {
    "scheduler": ["-m", "service.cli.main", "scheduler"],
    "worker": ["-m", "service.cli.main", "worker"],
    "api": ["-m", "service.cli.main", "api"],
}


class Stack:
    """Processes of one service; every wait ends with a reason when the time is up."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CNNCTL_")}
        self.environment = {
            **inherited,
            "CNNCTL_HOME": str(home),
            "CNNCTL_GPUS": "sim:2",
            "CNNCTL_HOST": "testhost",
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        home.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, *, program: str = "", **settings: str) -> None:
        """Start a process, of the program of its name unless said; it need not be ready when this returns."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *PROGRAMS[program or name]],
                env={**self.environment, **settings},
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
            )

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop a process and wait for its end."""
        process = self.processes.pop(name)
        process.send_signal(number)
        process.wait(timeout=60)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process that stays."""
        self.processes[name].send_signal(number)

    def cnnctl(self, *words: str, code: int | None = 0) -> "subprocess.CompletedProcess[str]":
        """Run a command; `code` is the exit status that is expected."""
        done = subprocess.run(
            [sys.executable, "-m", "service.cli.main", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            cwd=self.home,
        )
        assert code is None or done.returncode == code, (
            f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    def cnnctl_here(self, *words: str, code: int = 0) -> Result:
        """Run a command in this process, which is sooner where there are many."""
        done = CliRunner().invoke(main, words, env=self.environment)
        assert isinstance(done.exception, SystemExit | None), repr(done.exception)
        assert done.exit_code == code, f"{words}: {done.output}"
        return done

    def python(self, program: str, *words: str) -> str:
        """Run a program of a few lines in a process of its own; what it prints."""
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def submit(self, *words: str) -> int:
        return int(self.cnnctl_here("submit", *words).stdout)

    @cached_property
    def settings(self) -> Settings:
        return load_settings({n: v for n, v in self.environment.items() if n.startswith("CNNCTL_")})

    @cached_property
    def store(self) -> Store:
        """The stack's database, for this process: a command for each look would take the trainers' cores."""
        return open_store(self.settings.database_url)

    def job(self, number: int) -> Any:
        """What `cnnctl status NUMBER --json` prints."""
        return to_json(get_job_view(self.store, JobId(number)))

    def gpus(self) -> Any:
        """What `cnnctl gpus --json` prints."""
        return to_json(list_gpu_views(self.store, self.settings))

    def wait(self, number: int, met: Callable[[Any], object], *, seconds: float = 90) -> Any:
        """Look at a job until `met`; the job as it was then."""
        deadline = time.monotonic() + seconds
        while not met(job := self.job(number)):
            assert time.monotonic() < deadline, (
                f"waited {seconds} s\n{json.dumps(job, indent=1)}\n{self.logs()}"
            )
            time.sleep(LOOK_SECONDS)
        return job

    def finished(self, number: int, state: str = "succeeded") -> Any:
        """Wait for a job's end, which has to be `state`."""
        job = self.wait(number, lambda job: job["state"] in ("succeeded", "failed", "cancelled"))
        assert job["state"] == state, (
            f"{job['state']}: {job['reason']}\n{self.cnnctl('logs', str(number)).stdout}"
        )
        return job

    def logs(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in self.home.glob("*.log"))

    def close(self) -> None:
        for name in list(self.processes):
            self.stop(name)
        self.store.close()


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    return find_start(pid) is not None


def cpu_seconds(pid: int) -> float:
    """Time of a core that a running process has used, in both modes."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
