"""The compose file: its rules, and each service's own command run natively, with a job through all of them.

No container engine is needed: the commands and the environment are the file's; only the addresses of
PostgreSQL and Redis are those of this test's own servers.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import make_url

from service.settings import load_settings
from tests.servers import find_free_port, redis_program

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = {"POSTGRES_PASSWORD": "apple", "REDIS_PASSWORD": "pear", "CNNCTL_HOST": "labhost"}
TOP_LEVEL = {"name", "services", "volumes", "networks", "configs", "secrets", "include"}
LONG_RUNNING = {"postgres", "redis", "scheduler", "worker", "worker-cpu"}


def interpolate(text: str) -> str:
    """Fill in ${NAME}, ${NAME:-default} and ${NAME:?message} as compose does."""

    def value(match: "re.Match[str]") -> str:
        name, operator, rest = match[1], match[2] or "", match[3] or ""
        if VARIABLES.get(name):
            return VARIABLES[name]
        assert operator != ":?", f"{name} is required: {rest}"
        return rest

    return re.sub(r"\$\{(\w+)(:[-?])?([^}]*)\}", value, text)


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load(interpolate((ROOT / "docker-compose.yml").read_text()))


def test_the_file_follows_the_rules_of_compose(compose: Any) -> None:
    assert {key for key in compose if not key.startswith("x-")} <= TOP_LEVEL
    services = compose["services"]
    for name, service in services.items():
        assert "image" in service or "build" in service, name
        for needed, rule in service.get("depends_on", {}).items():
            assert needed in services
            assert rule["condition"] in (
                "service_started",
                "service_healthy",
                "service_completed_successfully",
            )
            if rule["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], needed
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or source.startswith((".", "/")), volume


def test_secrets_are_required_and_no_port_is_published(compose: Any) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert "${POSTGRES_PASSWORD:?" in text
    assert "${REDIS_PASSWORD:?" in text
    assert all("ports" not in service for service in compose["services"].values())
    assert "pear" in compose["services"]["redis"]["command"]
    named = set(re.findall(r"\$\{(\w+):\?", text))
    assert named <= set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_services_restart_and_say_whether_they_are_well(compose: Any) -> None:
    for name in LONG_RUNNING:
        service = compose["services"][name]
        assert service["restart"] == "unless-stopped", name
        check = service["healthcheck"]
        assert check["test"][0] == "CMD"
        assert {"interval", "timeout", "retries"} <= set(check)
    assert compose["services"]["migrate"]["restart"] == "on-failure"


def test_a_stop_reaches_a_process_that_is_still_starting(compose: Any) -> None:
    # As process 1, Python does not see SIGTERM before it has a handler: a stop took 60 s and a SIGKILL.
    for name in ("migrate", "scheduler", "worker", "worker-cpu"):
        assert compose["services"][name]["init"] is True, name


def test_both_workers_differ_in_their_devices_only(compose: Any) -> None:
    gpu, cpu = (compose["services"][name] for name in ("worker", "worker-cpu"))
    own = {"CNNCTL_GPUS", "CUDA_CACHE_PATH", "CUDA_CACHE_MAXSIZE"}
    different = gpu["environment"].items() ^ cpu["environment"].items()
    assert {key for key, _ in different} == own
    for key in ("command", "hostname", "stop_grace_period", "healthcheck", "depends_on", "restart"):
        assert gpu[key] == cpu[key], key


def test_the_gpu_profile_never_trains_on_simulated_gpus(compose: Any) -> None:
    assert compose["services"]["worker"]["environment"]["CNNCTL_GPUS"] == "required"


def test_the_example_of_the_environment_names_a_profile(compose: Any) -> None:
    text = (ROOT / ".env.example").read_text()
    profiles = {name for service in compose["services"].values() for name in service.get("profiles", [])}
    assert set(re.findall(r"^COMPOSE_PROFILES=(\w+)$", text, re.MULTILINE)) <= profiles
    assert "COMPOSE_PROFILES=" in text


def test_the_worker_gets_all_gpus_and_what_nccl_needs(compose: Any) -> None:
    worker = compose["services"]["worker"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert ("count" in device) != ("device_ids" in device)
    assert worker["shm_size"] == "2gb"
    assert worker["ulimits"]["memlock"] == -1
    assert (worker["profiles"], compose["services"]["worker-cpu"]["profiles"]) == (["gpu"], ["cpu"])
    margin_seconds = 20  # to find the processes gone and to store the end
    patience = int(worker["stop_grace_period"].removesuffix("s"))
    assert patience >= load_settings({}).grace_seconds + margin_seconds


def test_the_image_has_every_package_that_the_commands_import() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for package in ("service", "workers", "models", "migrations"):
        assert f"COPY {package} {package}" in text
    for extra in ("gpu", "cpu"):
        assert (ROOT / f"requirements-{extra}.lock").is_file()


class NativeStack:
    """The services as processes of this machine."""

    def __init__(self, compose: Any, folder: Path, database_url: str) -> None:
        self._services = compose["services"]
        self._folder = folder
        self._port = find_free_port()
        self._database = make_url(database_url)
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, name: str) -> "subprocess.Popen[bytes]":
        """Start a service's own command with the environment that the file gives it."""
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self._words(name),
                env=self._environment(name),
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        self._processes.append(process)
        return process

    def run(self, name: str, *words: str) -> str:
        """Run a command in a service's environment, as `compose exec` would."""
        done = subprocess.run(
            [sys.executable, "-m", "service.cli.main", *words],
            env=self._environment(name),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{done.stderr}\n{self.logs()}"
        return done.stdout

    def is_well(self, name: str) -> bool:
        """Run the service's own health check."""
        test = [self._address(word) for word in self._services[name]["healthcheck"]["test"][1:]]
        program = {"cnnctl": [sys.executable, "-m", "service.cli.main"]}.get(test[0])
        if program is None:  # redis-cli of the server that the tests found
            found = shutil.which(test[0]) or str(Path(redis_program()).with_name(test[0]))
            program = [found, "-p", str(self._port)]
        done = subprocess.run(
            [*program, *test[1:]], env=self._environment(name), capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0

    def wait_until_well(self, name: str) -> None:
        deadline = time.monotonic() + 90
        while not self.is_well(name):
            assert time.monotonic() < deadline, self.logs()

    def logs(self) -> str:
        return "\n".join(path.read_text()[-2000:] for path in self._folder.glob("*.log"))

    def close(self) -> None:
        """End every process; one that SIGTERM does not end is killed, and fails the test."""
        stuck = [process.args for process in reversed(self._processes) if not _ended(process)]
        assert not stuck, f"{stuck}\n{self.logs()}"

    def _words(self, name: str) -> list[str]:
        command = list(self._services[name]["command"])
        if name == "redis":
            return [redis_program(), *command[1:], "--port", str(self._port), "--bind", "127.0.0.1"]
        return [sys.executable, "-m", "service.cli.main", *command]

    def _environment(self, name: str) -> dict[str, str]:
        given = {key: self._address(value) for key, value in self._services[name]["environment"].items()}
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("CNNCTL_")}
        return {**inherited, "PYTHONPATH": str(ROOT), **given}

    def _address(self, value: str) -> str:
        """Put this machine's addresses in the place of the network's."""
        if value.startswith("postgresql:"):
            return self._database.render_as_string(hide_password=False)
        value = value.replace("@redis:6379", f"@127.0.0.1:{self._port}")
        return value.replace("/var/lib/cnnctl", str(self._folder / "data")).replace(
            "/datasets", str(self._folder)
        )


def _ended(process: "subprocess.Popen[bytes]") -> bool:
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


@pytest.fixture
def native(compose: Any, tmp_path: Path, postgres_url: str) -> Iterator[NativeStack]:
    stack = NativeStack(compose, tmp_path, postgres_url)
    yield stack
    stack.close()


def test_a_job_goes_through_every_service_started_by_its_own_command(native: NativeStack) -> None:
    native.start("scheduler")  # before its database has tables: it waits for them
    native.start("redis")
    native.start("worker-cpu")
    assert native.start("migrate").wait(timeout=60) == 0
    for name in ("redis", "scheduler", "worker-cpu"):
        native.wait_until_well(name)
    words = ("run", "lenet5", "--dataset", "digits", "--gpus", "2", "--epochs", "1", "--json")
    result = json.loads(native.run("scheduler", *words))
    assert result["state"] == "succeeded"
    assert result["metrics"]["val_accuracy"] > 0.3
    assert "on labhost" in native.run("scheduler", "status", str(result["job"]))
