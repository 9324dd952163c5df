"""The compose files: their rules, and each service's own command run natively, with a job through all.

No container engine is needed: the commands and the environment are the files'; only the addresses of
PostgreSQL and Redis are those of this test's own servers.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import make_url

from cnnctl.find import SYSTEM_SOCKET
from service.settings import load_settings
from tests.os_users import OsUser, new_user, why_no_users
from tests.servers import find_free_port, redis_program

ROOT = Path(__file__).resolve().parents[2]
STACK = "docker-compose.yml"
# As .env may list them in COMPOSE_FILE.
CHOICES = {
    "gpu": (STACK,),
    "cpu": (STACK, "docker-compose.cpu.yml"),
    "hosts": (STACK, "docker-compose.hosts.yml"),
    "cpu-hosts": (STACK, "docker-compose.cpu.yml", "docker-compose.hosts.yml"),
    "tls": (STACK, "docker-compose.tls.yml"),
    "further-host": ("docker-compose.worker.yml",),
}
VARIABLES = {
    "POSTGRES_PASSWORD": "apple",
    "SERVICE_PASSWORD": "plum",
    "REDIS_PASSWORD": "pear",
    "CNNCTL_HOST": "labhost",
    "WORKER_MEMORY": "8g",
    "SHARED_ADDRESS": "10.0.0.1",
    "STACK_ADDRESS": "10.0.0.1",
    "SHARED_RUNS": "/shared/runs",
    "API_TLS": "/etc/cnnctl/tls",
}
TOP_LEVEL = {"name", "services", "volumes", "networks", "configs", "secrets", "include"}
OWN = ("migrate", "api", "scheduler", "worker")
LONG_RUNNING = {"postgres", "redis", "api", "scheduler", "worker"}
# What PostgreSQL's own start script needs to hand the data folder to its user and become it.
CAPABILITIES = {"postgres": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]}


class Reset:
    """`!reset` in an override: the key goes."""


class ComposeLoader(yaml.SafeLoader):
    """YAML with the tag that compose adds."""


ComposeLoader.add_constructor("!reset", lambda _loader, _node: Reset())


def interpolate(text: str) -> str:
    """Fill in ${NAME}, ${NAME:-default} and ${NAME:?message} as compose does."""

    def value(match: "re.Match[str]") -> str:
        name, operator, rest = match[1], match[2] or "", match[3] or ""
        if VARIABLES.get(name):
            return VARIABLES[name]
        assert operator != ":?", f"{name} is required: {rest}"
        return rest

    return re.sub(r"\$\{(\w+)(:[-?])?([^}]*)\}", value, text)


def merge(below: Any, above: Any) -> Any:
    """Put one file over another: maps are joined, volumes and ports are added, all else is replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        merged = {key: merge(below.get(key), value) for key, value in above.items()}
        return {key: value for key, value in {**below, **merged}.items() if not isinstance(value, Reset)}
    if isinstance(below, list) and isinstance(above, list) and all(":" in str(item) for item in above):
        return [*below, *above]
    return above


def load(choice: str) -> Any:
    """What the files of a choice say together."""
    stack: Any = {}
    for name in CHOICES[choice]:
        stack = merge(stack, yaml.load(interpolate((ROOT / name).read_text()), ComposeLoader))
    return stack


@pytest.fixture(params=list(CHOICES))
def compose(request: pytest.FixtureRequest) -> Any:
    return load(request.param)


def test_the_files_follow_the_rules_of_compose(compose: Any) -> None:
    assert {key for key in compose if not key.startswith("x-")} <= TOP_LEVEL
    services = compose["services"]
    built = {service["image"] for service in services.values() if "build" in service}
    for name, service in services.items():
        assert "@" in service["image"] or ":" in service["image"], name
        assert service["image"] in built or not service["image"].startswith("cnnctl"), name
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


def test_every_secret_and_name_is_asked_for_and_said_where(compose: Any) -> None:
    example = (ROOT / ".env.example").read_text()
    for name in (name for files in CHOICES.values() for name in files):
        text = (ROOT / name).read_text()
        header = text.partition("\n\n")[0]
        for variable in set(re.findall(r"\$\{(\w+):\?", text)):
            assert f"{variable}=" in (header if variable not in example else example), (name, variable)
    text = (ROOT / STACK).read_text()
    for secret in ("POSTGRES_PASSWORD", "SERVICE_PASSWORD", "REDIS_PASSWORD"):
        assert f"${{{secret}:?" in text
    assert "pear" in load("gpu")["services"]["redis"]["command"]


def test_only_the_api_has_a_port_unless_hosts_share_a_network(compose: Any) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert all(port.startswith("10.0.0.1:") for name in ports.keys() - {"api"} for port in ports[name])
    for choice in ("gpu", "cpu", "tls"):
        services = load(choice)["services"]
        assert {name for name in services if "ports" in services[name]} == {"api"}
        assert services["api"]["ports"] == ["127.0.0.1:8433:8433"]
        address = services["api"]["environment"]["CNNCTL_API_ADDRESS"]
        assert address == "0.0.0.0:8433"  # inside: whoever may reach it is said by what is published


def test_only_the_service_reaches_database_and_broker() -> None:
    for choice in ("gpu", "cpu", "tls"):
        compose = load(choice)
        services = compose["services"]
        assert compose["networks"]["inside"] == {"internal": True}
        inside = {name for name in services if "inside" in services[name]["networks"]}
        assert inside == {"postgres", "redis", *OWN}
        for name in ("postgres", "redis", "migrate"):
            assert services[name]["networks"] == ["inside"], name
        # A port of an internal network cannot be published, and nothing comes in from there.
        assert "outside" in services["api"]["networks"]
    hosts = load("hosts")
    assert not hosts["networks"]["inside"]["internal"]
    assert "networks" not in hosts["services"]["worker"]  # it has the host's


def test_the_api_has_its_socket_in_a_folder_of_the_host_and_the_names_of_its_people() -> None:
    for choice in ("gpu", "hosts", "tls"):
        api = load(choice)["services"]["api"]
        assert f"{Path(SYSTEM_SOCKET).parent}:{Path(SYSTEM_SOCKET).parent}" in api["volumes"]
        assert "/etc/passwd:/etc/passwd:ro" in api["volumes"]
        for volume in load(choice)["services"]["scheduler"]["volumes"]:
            assert volume in api["volumes"], "downloads and checks of datasets need it"
        assert "CNNCTL_SOCKET" not in api["environment"]
        assert api["healthcheck"]["test"] == ["CMD", "cnnctl", "doctor", "--process", "api"]
    for name, service in load("gpu")["services"].items():
        if name != "api":
            assert not any(volume.startswith("/") for volume in service.get("volumes", [])), name


def test_only_the_user_of_the_containers_may_write_the_folder_of_the_socket() -> None:
    (number,) = re.findall(r"^SERVICE_UID=(\d+)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    rule = (ROOT / "deploy" / "tmpfiles.d" / "cnnctl-stack.conf").read_text().splitlines()[-1]
    assert rule == f"d {Path(SYSTEM_SOCKET).parent} 0755 {number} {number} -"
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "\nUSER ${SERVICE_UID}:${SERVICE_UID}\n" in dockerfile
    (kept,) = re.findall(r"^ARG SERVICE_UID=(\d+)$", dockerfile, re.MULTILINE)
    for choice in CHOICES:
        for service in load(choice)["services"].values():
            if "build" in service:
                # As in volumes that are older than this setting.
                assert str(service["build"]["args"]["SERVICE_UID"]) == kept


def test_with_tls_the_api_has_a_certificate() -> None:
    api = load("tls")["services"]["api"]
    assert "/etc/cnnctl/tls:/etc/cnnctl/tls:ro" in api["volumes"]
    for name in ("CNNCTL_API_CERTIFICATE", "CNNCTL_API_KEY"):
        assert api["environment"][name].startswith("/etc/cnnctl/tls/")


def test_services_restart_and_say_whether_they_are_well(compose: Any) -> None:
    for name, service in compose["services"].items():
        if name == "migrate":
            assert service["restart"] == "on-failure"
            continue
        assert name in LONG_RUNNING
        assert service["restart"] == "unless-stopped", name
        check = service["healthcheck"]
        assert check["test"][0] == "CMD"
        assert {"interval", "timeout", "retries"} <= set(check)


def test_no_service_can_change_its_image_gain_rights_or_fill_memory_and_disk(compose: Any) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert any(folder.startswith(("/tmp", "/data")) for folder in service["tmpfs"]), name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == CAPABILITIES.get(name, []), name
        assert service["security_opt"] == ["no-new-privileges"], name
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert {"max-size", "max-file"} <= set(service["logging"]["options"]), name
        assert "privileged" not in service


def test_every_image_is_of_one_release(compose: Any) -> None:
    release = re.compile(r"[a-z]+:\d+\.\d+(\.\d+)?(-[a-z-]+)?")
    (python,) = re.findall(r"^ARG PYTHON_IMAGE=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for name, service in compose["services"].items():
        if "build" in service:
            assert service["build"]["args"]["PYTHON_IMAGE"] == python, name
            assert service["image"] == f"cnnctl:{service['build']['args']['EXTRA']}"
        for image in [python] if service["image"].startswith("cnnctl") else [service["image"]]:
            assert release.fullmatch(image), image


def test_a_stop_reaches_a_process_that_is_still_starting(compose: Any) -> None:
    # As process 1, Python does not see SIGTERM before it has a handler: a stop took 60 s and a SIGKILL.
    for name, service in compose["services"].items():
        if service["image"].startswith("cnnctl"):
            assert service["init"] is True, name


def test_only_migrate_is_the_owner_of_the_tables(compose: Any) -> None:
    for name, service in compose["services"].items():
        environment = service.get("environment", {})
        secret = [key for key, value in environment.items() if VARIABLES["POSTGRES_PASSWORD"] in str(value)]
        owner = {"migrate": ["CNNCTL_OWNER_URL"], "postgres": ["POSTGRES_PASSWORD"]}
        assert secret == owner.get(name, []), name
        if "CNNCTL_DATABASE_URL" in environment:
            assert make_url(environment["CNNCTL_DATABASE_URL"]).username == "cnnctl_service"


def test_without_gpus_only_image_and_devices_differ() -> None:
    gpu, cpu = (load(choice)["services"] for choice in ("gpu", "cpu"))
    assert gpu.keys() == cpu.keys()
    for name in gpu:
        changed = {key for key in gpu[name] if gpu[name][key] != cpu[name].get(key)}
        assert changed <= {"image", "build", "environment", "deploy", "ulimits"}, name
    different = gpu["worker"]["environment"].items() ^ cpu["worker"]["environment"].items()
    assert {key for key, _ in different} == {"CNNCTL_GPUS"}
    assert {cpu[name]["image"] for name in OWN} == {"cnnctl:cpu"}
    assert "deploy" not in cpu["worker"]


def test_with_gpus_no_job_trains_on_simulated_ones(compose: Any) -> None:
    worker = compose["services"]["worker"]
    gpus = worker["environment"]["CNNCTL_GPUS"]
    assert gpus == ("required" if "deploy" in worker else "sim:2")


def test_the_worker_of_a_further_host_is_the_worker_of_the_stack() -> None:
    own, stack = (load(choice)["services"]["worker"] for choice in ("further-host", "hosts"))
    extra = {"build", "hostname", "depends_on", "volumes", "environment"}
    assert {key: value for key, value in own.items() if key not in extra} == {
        key: value for key, value in stack.items() if key not in extra
    }
    assert {**own["environment"], "CNNCTL_ADDRESS": "10.0.0.1"} == stack["environment"]
    assert {volume.split(":")[1] for volume in own["volumes"]} == {
        volume.split(":")[1] for volume in stack["volumes"]
    }
    services = load("hosts")["services"]
    for service in (own, stack, services["api"], services["scheduler"]):
        assert "/shared/runs:/var/lib/cnnctl/runs" in service["volumes"]


def test_a_gpu_worker_gets_all_gpus_and_what_nccl_needs() -> None:
    for choice in ("gpu", "further-host"):
        worker = load(choice)["services"]["worker"]
        (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
        assert device["capabilities"] == ["gpu"]
        assert ("count" in device) != ("device_ids" in device)
        assert worker["shm_size"] == "2gb"
        assert worker["ulimits"]["memlock"] == -1
        margin_seconds = 20  # to find the processes gone and to store the end
        patience = int(worker["stop_grace_period"].removesuffix("s"))
        assert patience >= load_settings({}).grace_seconds + margin_seconds


def test_the_image_has_every_package_that_the_commands_import() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for package in ("cnnctl", "service", "workers", "models", "migrations"):
        assert f"COPY {package} {package}" in text
    for extra in ("gpu", "cpu"):
        locked = (ROOT / f"requirements-{extra}.lock").read_text()
        for package in ("fastapi", "uvicorn", "psycopg", "redis"):
            assert re.search(rf"^{package}==", locked, re.MULTILINE), (extra, package)
    assert "ENV CNNCTL_DATASETS_DIR=/datasets" in text


def test_the_page_names_services_and_files_that_are_there() -> None:
    text = (ROOT / "docs" / "stack.md").read_text()
    assert "worker-cpu" not in text
    services = load("gpu")["services"].keys()
    acts = [line.split() for line in text.splitlines() if line.startswith("    docker compose ")]
    assert len(acts) > 20
    for words in acts:
        if {"exec", "run", "stop", "start", "restart", "logs"} & set(words):
            assert services & set(words), words
    for name in re.findall(r"docker-compose[\w.-]*\.yml", text):
        assert (ROOT / name).is_file() or name == "docker-compose.override.yml", name


def test_the_page_restores_all_or_nothing() -> None:
    text = (ROOT / "docs" / "stack.md").read_text()
    restores = re.findall(r"pg_restore((?:[^\n]|\\\n)*)", text)
    assert restores
    for words in restores:
        assert {"--single-transaction", "--exit-on-error"} <= set(words.split())
    before = text.partition("## Restore")[2].partition("pg_restore")[0]
    assert "docker compose stop api scheduler worker\n" in before


class NativeStack:
    """The services as processes of this machine."""

    def __init__(self, compose: Any, folder: Path, database_url: str, *, public: Path) -> None:
        self._services = compose["services"]
        self._folder = folder
        self._port = find_free_port()
        self._api_port = find_free_port()
        self.socket = public / "api.sock"
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
        own = {
            "CNNCTL_DATASETS_DIR": str(self._folder),  # in the image
            "CNNCTL_SOCKET": str(self.socket),
        }
        given = {key: self._address(value) for key, value in self._services[name]["environment"].items()}
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("CNNCTL_")}
        return {**inherited, "PYTHONPATH": str(ROOT), **own, **given}

    def _address(self, value: str) -> str:
        """Put this machine's addresses in the place of the network's."""
        if value.startswith("postgresql:"):
            user = make_url(value)
            url = self._database  # whose user is the owner
            if user.username != "cnnctl":
                url = url.set(username=user.username, password=user.password)
            return url.render_as_string(hide_password=False)
        value = value.replace("@redis:6379", f"@127.0.0.1:{self._port}")
        value = value.replace("0.0.0.0:8433", f"127.0.0.1:{self._api_port}")
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
def public() -> Iterator[Path]:
    """A folder into which everybody may look, as the host's /run/cnnctl."""
    with tempfile.TemporaryDirectory(prefix="cnnctl-run-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def native(tmp_path: Path, public: Path, postgres_url: str) -> Iterator[NativeStack]:
    stack = NativeStack(load("cpu"), tmp_path, postgres_url, public=public)
    yield stack
    stack.close()


@pytest.fixture
def ada() -> Iterator[OsUser]:
    """A user who is not the service's, where one can be made; else the service's."""
    if why_no_users():
        yield OsUser()
    else:
        with new_user() as ada:
            yield ada


def test_a_job_goes_through_every_service_started_by_its_own_command(
    native: NativeStack, ada: OsUser
) -> None:
    native.start("scheduler")  # before its database has tables: it waits for them
    native.start("api")
    native.start("redis")
    native.start("worker")
    assert native.start("migrate").wait(timeout=60) == 0
    for name in ("redis", "api", "scheduler", "worker"):
        native.wait_until_well(name)
    where = {"CNNCTL_SOCKET": str(native.socket)}
    words = ("run", "lenet5", "--dataset", "digits", "--gpus", "2", "--epochs", "1", "--json")
    done = ada.run(*words, **where)
    assert done.returncode == 0, f"{done.stderr}\n{native.logs()}"
    result = json.loads(done.stdout)
    assert result["state"] == "succeeded"
    assert result["metrics"]["val_accuracy"] > 0.3
    job = json.loads(native.run("scheduler", "status", str(result["job"]), "--json"))
    assert job["owner"] == ada.name
    if why_no_users():
        return
    with new_user() as bob:  # whatever he says of himself, the kernel knows who he is
        done = bob.run("retry", str(job["job"]), **where, USER=ada.name, LOGNAME=ada.name)
        assert (done.returncode, f"Job {job['job']} is {ada.name}'s" in done.stderr) == (5, True), done.stderr
        assert "on labhost" in bob.run("status", str(job["job"]), **where).stdout
