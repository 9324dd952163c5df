"""Settings are read once, and a bad one is named."""

from pathlib import Path

import pytest

from service.errors import SettingError
from service.settings import load_settings


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
        ("CNNCTL_TICK_SECONDS", "-1", "a number of seconds above 0"),
        ("CNNCTL_GRACE_SECONDS", "nan", "a number of seconds above 0"),
        ("CNNCTL_CHECKPOINT_SECONDS", "0", "a number of seconds above 0"),
        ("CNNCTL_LEASE_SECONDS", "2", "at least three heartbeats"),
        ("CNNCTL_RETRY_LIMIT", "many", "a whole number"),
        ("CNNCTL_START_METHOD", "fork", "forkserver or spawn"),
        ("CNNCTL_LOG_LEVEL", "loud", "debug or info"),
        ("CNNCTL_DATA_ROOTS", "/datasets:scratch", "absolute paths"),
        ("CNNCTL_GROUP", "nobody-of-that-name", "a group of this machine"),
        ("CNNCTL_GPU", "sim:2", "Unknown setting CNNCTL_GPU"),
        ("CNNCTL_HOME", "~nobody-of-that-name", "must be the home of a user"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_allowed(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        load_settings({name: value})
    assert name in str(caught.value)


def test_an_empty_variable_is_an_unset_one() -> None:
    assert load_settings({"CNNCTL_GPUS": ""}) == load_settings({})
