"""Which client a command asks."""

from pathlib import Path

import pytest

from cnnctl.login import Login, write_login
from service.client import choose
from service.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def machine(tmp_path: Path) -> Settings:
    """Of a machine whose socket would be in this test's folder; nobody has set anything."""
    return load_settings({"CNNCTL_SOCKET": str(tmp_path / "run" / "api.sock")})


def test_a_machine_without_a_service_has_its_own_database(machine: Settings) -> None:
    assert choose.find_api(machine, {}) is None


def test_while_the_service_of_a_machine_restarts_commands_wait_for_it(machine: Settings) -> None:
    Path(machine.socket).parent.mkdir()
    assert choose.find_api(machine, {}) is not None


def test_a_login_goes_before_the_socket_and_settings_before_both(machine: Settings) -> None:
    write_login(Login(url="https://gpu01.lab:8433", token="cnn_x"))
    assert choose.find_api(machine, {}) is not None
    for name in ("CNNCTL_HOME", "CNNCTL_DATABASE_URL"):
        assert choose.find_api(machine, {name: "given"}) is None
