"""Settings are read once, and a bad one is named."""

from dataclasses import Field, fields
from pathlib import Path

import pytest

from service.errors import SettingError
from service.settings import Settings, load_settings


def test_the_defaults_are_the_embedded_stack_in_the_home_folder(tmp_path: Path) -> None:
    settings = load_settings({"CNNCTL_HOME": str(tmp_path), "PATH": "/bin"})
    assert settings.database_url == f"sqlite:///{tmp_path}/cnnctl.db"
    assert settings.broker == ""
    assert settings.runs_dir == tmp_path / "runs"
    assert settings.simulated_gpus is None
    assert settings.retry_limit == 3


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CNNCTL_GPUS", "sim:0", "auto, required, or sim:N"),
        ("CNNCTL_GPUS", "three", "auto, required, or sim:N"),
        ("CNNCTL_TICK_SECONDS", "-1", "from 0.001 to 2: it delays the detection of a dead worker"),
        ("CNNCTL_GRACE_SECONDS", "nan", "from 0.01 to 3600"),
        ("CNNCTL_CHECKPOINT_SECONDS", "0", "from 0.001 to 86400"),
        ("CNNCTL_DISK_RESERVE", "101", "from 0 to 100"),
        ("CNNCTL_DISK_RESERVE", "5%", "from 0 to 100"),
        ("CNNCTL_DISK_RESERVE", "nan", "from 0 to 100"),
        ("CNNCTL_LEASE_SECONDS", "2", "at least three heartbeats"),
        ("CNNCTL_RETRY_LIMIT", "1.5", "a whole number"),
        ("CNNCTL_RETRY_LIMIT", "9" * 400, "from 0 to 1000"),
        ("CNNCTL_HOST", "gpu/01", "printable characters without /"),
        ("CNNCTL_HOST", "gpu\x1b[2J", "printable characters without /"),
        ("CNNCTL_HOST", "ä" * 51, "at most 100"),
        ("CNNCTL_ADDRESS", "1" * 201, "at most 200 characters"),
        ("CNNCTL_MAIL_COMMAND", "m" * 5000, "at most 4096 characters"),
        ("CNNCTL_RUNS_DIR", "/runs/caf\udce9", "text in UTF-8"),
        ("CNNCTL_RETRY_LIMIT", "many", "from 0 to 1000"),
        ("CNNCTL_START_METHOD", "fork", "forkserver or spawn"),
        ("CNNCTL_LOG_LEVEL", "loud", "debug or info"),
        ("CNNCTL_DATA_ROOTS", "/datasets:scratch", "absolute paths"),
        ("CNNCTL_GROUP", "nobody-of-that-name", "a group of this machine"),
        ("CNNCTL_GPU", "sim:2", "Unknown setting CNNCTL_GPU"),
        ("CNNCTL_HOME", "~nobody-of-that-name", "must be the home of a user"),
        ("CNNCTL_RUNS_DIR", "~nobody-of-that-name/runs", "must be the home of a user"),
        ("CNNCTL_DATASETS_DIR", "~nobody-of-that-name", "must be the home of a user"),
        ("CNNCTL_BROKER_URL", "amqp://guest:secret@rabbit:5672//", "redis://HOST:6379/0"),
        ("CNNCTL_BROKER_URL", "localhost:6379", "redis://HOST:6379/0"),
        ("CNNCTL_BROKER_URL", "redis://:secret@localhost:port/0", "redis://HOST:6379/0"),
        ("CNNCTL_BROKER_URL", "redis://:secret@localhost:99999/0", "redis://HOST:6379/0"),
        ("CNNCTL_BROKER_URL", "redis://:secret@[::1/0", "redis://HOST:6379/0"),
        ("CNNCTL_BROKER_URL", "redis:///0", "redis://HOST:6379/0"),
        ("CNNCTL_BROKER_URL", "redis://localhost/jobs", "redis://HOST:6379/0"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_allowed(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        load_settings({name: value})
    assert name in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_empty_variable_is_an_unset_one() -> None:
    assert load_settings({"CNNCTL_GPUS": ""}) == load_settings({})


NUMBERS = [f for f in fields(Settings) if f.metadata["within"]]


def test_every_number_among_the_settings_has_bounds() -> None:
    numbers = [f for f in fields(Settings) if f.metadata["default"].replace(".", "").isdecimal()]
    assert numbers == NUMBERS


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
def test_a_number_is_refused_beyond_its_bounds_and_taken_at_them(setting: Field[str]) -> None:
    variable, within = setting.metadata["variable"], setting.metadata["within"]
    for text in ("nan", "inf", "-inf", "", "9" * 400, "1e999", "²", f"{within.most * 1.01:f}", f"{-1:d}"):
        if text:
            with pytest.raises(SettingError, match=within.why) as caught:
                load_settings({variable: text})
            assert len(str(caught.value)) < 200
    # A lease of three heartbeats is a rule of its own.
    around = (
        {"CNNCTL_HEARTBEAT_SECONDS": "0.01"} if setting.name == "lease" else {"CNNCTL_LEASE_SECONDS": "86400"}
    )
    for bound in (within.least, within.most):
        load_settings({**around, variable: f"{bound:g}"})
