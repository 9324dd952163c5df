"""The systemd units: their rules, and their own commands run as their users, with a job through all."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from cnnctl.find import SYSTEM_SOCKET
from service.settings import Settings, load_settings
from tests.os_users import OsUser, new_user, why_no_users
from tests.servers import RedisServer, find_free_port, wait_until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = {path.stem: path for path in sorted((DEPLOY / "systemd").glob("*.service"))}
PROGRAM = "/opt/cnnctl/bin/cnnctl"
STATE = "/var/lib/"
EXAMPLES = (DEPLOY / "cnnctl.env.example", DEPLOY / "owner.env.example")


def read_unit(name: str) -> Mapping[str, Sequence[str]]:
    """What a unit says by key; each key is in one section only."""
    said: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", UNITS[name].read_text(), re.MULTILINE):
        said.setdefault(key, []).append(value)
    return said


def read_settings(path: Path) -> Mapping[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE))


def list_environment(name: str) -> Mapping[str, str]:
    """What a unit itself sets."""
    words = " ".join(read_unit(name)["Environment"]).split()
    return dict(word.split("=", 1) for word in words)


def test_there_is_a_unit_for_each_process() -> None:
    commands = {read_unit(name)["ExecStart"][0].removeprefix(f"{PROGRAM} ") for name in UNITS}
    assert commands == {"db upgrade", "api", "scheduler", "worker"}


@pytest.mark.parametrize("name", UNITS)
def test_every_setting_that_a_unit_names_exists(name: str) -> None:
    known = {field.metadata["variable"] for field in fields(Settings)}
    named = {variable for variable in list_environment(name) if variable.startswith("CNNCTL_")}
    assert named
    assert named <= known


def test_the_examples_are_settings_that_can_be_read() -> None:
    text = "\n".join(path.read_text() for path in EXAMPLES)
    commented = dict(re.findall(r"^# (CNNCTL_\w+)=(.*)$", text, re.MULTILINE))
    given = {**read_settings(EXAMPLES[0]), **read_settings(EXAMPLES[1]), **commented, "CNNCTL_GROUP": ""}
    assert load_settings(given).api_address == "0.0.0.0:8433"
    for name in UNITS:
        for path in read_unit(name)["EnvironmentFile"]:
            assert DEPLOY / f"{Path(path).name}.example" in EXAMPLES
        # A file goes before the unit's own lines, and these differ between the units.
        assert list_environment(name).keys().isdisjoint(given)


def test_only_migrate_is_the_owner_of_the_tables() -> None:
    owners = {name for name in UNITS if "/etc/cnnctl/owner.env" in read_unit(name)["EnvironmentFile"]}
    assert owners == {"cnnctl-migrate"}
    assert "CNNCTL_OWNER_URL" not in EXAMPLES[0].read_text()


@pytest.mark.parametrize("name", UNITS)
def test_no_unit_has_more_rights_than_it_needs(name: str) -> None:
    said = read_unit(name)
    assert said["NoNewPrivileges"] == ["yes"]
    assert said["CapabilityBoundingSet"] == [""]
    assert said["ProtectSystem"] == ["strict"]
    assert "AF_UNIX" in said["RestrictAddressFamilies"][0].split()
    made = re.findall(r"^u ([\w-]+) ", (DEPLOY / "sysusers.d" / "cnnctl.conf").read_text(), re.MULTILINE)
    assert said["User"][0] in made
    # In a user namespace of its own the API would know nobody on the socket.
    assert "PrivateUsers" not in said
    # What a killed worker leaves is adopted by the next one, with its files.
    assert said.get("PrivateTmp", ["no"]) == ["no" if name == "cnnctl-worker" else "yes"]


def test_the_worker_has_time_to_stop_its_trainers_and_leaves_them_when_it_is_killed() -> None:
    said = read_unit("cnnctl-worker")
    margin_seconds = 20  # to find the processes gone and to store the end
    assert int(said["TimeoutStopSec"][0]) >= load_settings({}).grace_seconds + margin_seconds
    assert said["KillMode"] == ["process"]
    assert said["OOMPolicy"] == ["continue"]


def test_commands_look_for_the_api_where_its_unit_puts_it() -> None:
    said = read_unit("cnnctl-api")
    assert f"/run/{said['RuntimeDirectory'][0]}" == str(Path(SYSTEM_SOCKET).parent)
    assert said["RuntimeDirectoryMode"] == ["0755"]
    assert said["RuntimeDirectoryPreserve"] == ["yes"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("cnnctl")
    for name, path in UNITS.items():
        (tmp_path / f"{name}.service").write_text(path.read_text().replace(PROGRAM, str(program)))
    words = ["systemd-analyze", "verify", *(str(tmp_path / f"{name}.service") for name in UNITS)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line or line.startswith("cnnctl")]
    assert (done.returncode, ours) == (0, [])


class Units:
    """The units as processes of this machine: their commands, users, folders and settings."""

    def __init__(self, folder: Path, users: Mapping[str, OsUser], settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.users = users
        self.socket = settings["CNNCTL_SOCKET"]
        self._settings = settings
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, name: str) -> "subprocess.Popen[bytes]":
        """Start a unit as systemd would, with folders of the test in the place of /var/lib and /run."""
        said = read_unit(name)
        user = self.users[said["User"][0]]
        for state in said["StateDirectory"][0].split():
            self._make(self.folder / state, user, int(said["StateDirectoryMode"][0], 8))
        for state in said.get("RuntimeDirectory", []):
            self._make(self.folder / "run" / state, user, int(said["RuntimeDirectoryMode"][0], 8))
        own = {key: self._place(value) for key, value in list_environment(name).items()}
        environment = user.environment({**own, **self._settings})
        if "/etc/cnnctl/owner.env" not in said["EnvironmentFile"]:
            environment = {key: value for key, value in environment.items() if key != "CNNCTL_OWNER_URL"}
        words = said["ExecStart"][0].removeprefix(PROGRAM).split()
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                user.words(*words, group=self.users["cnnctl"].name),
                env=environment,
                stdout=log,
                stderr=log,
                cwd="/",
            )
        self._processes.append(process)
        return process

    def logs(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in self.folder.glob("*.log"))

    def close(self) -> None:
        """Stop them, the last first."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(timeout=60)

    def _make(self, folder: Path, user: OsUser, mode: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, user.name, self.users["cnnctl"].name)
        folder.chmod(mode)

    def _place(self, value: str) -> str:
        return value.replace(STATE, f"{self.folder}/")


@pytest.fixture
def units(postgres_url: str, redis_server: RedisServer) -> Iterator[Units]:
    if why := why_no_users():
        pytest.skip(why)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cnnctl-units-")))
        folder.chmod(0o755)
        service = stack.enter_context(new_user())
        worker = stack.enter_context(new_user(group=service.name))
        owner = make_url(postgres_url)
        servers = Path(str(owner.query["host"]))  # the folder of its socket
        stack.callback(servers.chmod, servers.stat().st_mode)
        servers.chmod(0o711)
        settings = {
            **read_settings(EXAMPLES[0]),
            "CNNCTL_DATABASE_URL": owner.set(username="cnnctl_service").render_as_string(hide_password=False),
            "CNNCTL_OWNER_URL": postgres_url,
            "CNNCTL_BROKER_URL": redis_server.url,
            "CNNCTL_GROUP": service.name,
            "CNNCTL_GPUS": "sim:2",
            "CNNCTL_SOCKET": str(folder / SYSTEM_SOCKET.lstrip("/")),
            "CNNCTL_API_ADDRESS": f"127.0.0.1:{find_free_port()}",
        }
        placed = {key: value.replace(STATE, f"{folder}/") for key, value in settings.items()}
        units = Units(folder, {"cnnctl": service, "cnnctl-worker": worker}, placed)
        stack.callback(units.close)
        yield units


def test_a_job_of_ada_goes_through_all_units_as_their_users(units: Units) -> None:
    assert units.start("cnnctl-migrate").wait(timeout=60) == 0, units.logs()
    for name in ("cnnctl-api", "cnnctl-scheduler", "cnnctl-worker"):
        units.start(name)
    with new_user() as ada:
        where = {"CNNCTL_SOCKET": units.socket}
        wait_until(lambda: ada.run("doctor", "--process", "api", **where).returncode == 0)
        words = ("run", "lenet5", "--dataset", "digits", "--gpus", "2", "--epochs", "1", "--json")
        done = ada.run(*words, **where)
        assert done.returncode == 0, f"{done.stderr}\n{units.logs()}"
        result = json.loads(done.stdout)
        assert result["state"] == "succeeded"
        shown = ada.run("status", str(result["job"]), "--json", **where)
        assert json.loads(shown.stdout)["owner"] == ada.name
        # The API reads what the worker's user wrote, by their group; nobody else does.
        assert ada.run("logs", str(result["job"]), **where).returncode == 0
        best = units.folder / "downloads" / "best.keras"
        best.parent.mkdir()
        best.parent.chmod(0o777)
        done = ada.run("download", str(result["job"]), "--what", "best", "--output", str(best), **where)
        assert done.returncode == 0, done.stderr
        assert best.owner() == ada.name
        (network,) = units.folder.glob(f"cnnctl-worker/runs/{result['job']}/*/best.keras")
        assert best.read_bytes() == network.read_bytes()
        assert network.owner() == units.users["cnnctl-worker"].name
        assert not network.stat().st_mode & 0o007


@pytest.mark.parametrize("way", ["Containers", "systemd units"])
def test_at_most_six_commands_of_the_administrator_and_one_of_hers_lead_to_the_first_job(way: str) -> None:
    page = (DEPLOY.parent / "docs" / "stack.md").read_text()
    section = page.partition(f"\n## {way}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    commands = blocks[0].splitlines()
    assert len(commands) <= 6
    assert (f"{['Four', 'Five', 'Six'][len(commands) - 4]} commands") in section
    assert blocks[1].split() == ["cnnctl", "submit", "lenet5"]
    for name in re.findall(r"deploy/[\w./-]+\w", page):
        assert (DEPLOY.parent / name).is_file(), name
