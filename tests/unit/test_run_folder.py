"""A path from the database is only a claim: it has to lie in the folder of its job."""

from pathlib import Path

import pytest

from service.domain.run_folder import (
    is_checkpoint,
    job_folder,
    job_folder_of,
    path_within,
    run_folder,
    runs_dir_of,
)


@pytest.fixture
def of_job(tmp_path: Path) -> Path:
    """The folder of job 7, with a link to job 77's and one that stays."""
    (tmp_path / "7" / "1" / "checkpoints" / "step-3").mkdir(parents=True)
    (tmp_path / "77" / "1" / "checkpoints" / "step-3").mkdir(parents=True)
    (tmp_path / "7" / "2").symlink_to(tmp_path / "77" / "1")
    (tmp_path / "7" / "3").symlink_to(tmp_path / "7" / "1")
    return job_folder(tmp_path, 7)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("7/1", "1"),
        ("7/1/../1/trainer.log", "1/trainer.log"),
        ("7/9/gone", "9/gone"),
        ("7/3/trainer.log", "1/trainer.log"),
        ("7/2/trainer.log", ""),
        ("7/1/../../77/1", ""),
        ("77/1", ""),
        ("7", ""),
        ("", ""),
        ("/etc/passwd", ""),
        ("7/1/a\0b", ""),
    ],
)
def test_a_path_has_a_place_in_its_jobs_folder_or_none(of_job: Path, path: str, place: str) -> None:
    assert path_within(of_job.parent / path, of_job) == place


def test_a_folder_of_a_job_that_is_a_link_holds_nothing_of_the_job(of_job: Path) -> None:
    (of_job.parent / "8").symlink_to(of_job)
    assert path_within(of_job.parent / "8" / "1", of_job.with_name("8")) == ""
    link = of_job.parent.with_name("link-to-runs")
    link.symlink_to(of_job.parent)
    assert path_within(link / "7" / "1", of_job) == path_within(of_job / "1", link / "7") == "1"


@pytest.mark.parametrize(
    ("path", "can_be"),
    [
        ("7/1/checkpoints/step-3", True),
        ("7/1/checkpoints/step-0000000004", True),
        ("7/1/checkpoints", False),
        ("7/1/checkpoints/step-3/state.safetensors", False),
        ("7/1", False),
        ("7/2/checkpoints/step-3", False),
        ("77/1/checkpoints/step-3", False),
        ("1/checkpoints/step-3", False),
    ],
)
def test_only_a_checkpoints_own_folder_can_be_a_checkpoint(of_job: Path, path: str, *, can_be: bool) -> None:
    assert is_checkpoint(of_job.parent / path, of_job) is can_be


def test_a_trainers_folder_tells_its_jobs_folder() -> None:
    own = run_folder(Path("/runs"), 7, 2)
    for folder in (own, own / "member-1"):
        assert (job_folder_of(folder), runs_dir_of(folder)) == (Path("/runs/7"), Path("/runs"))
