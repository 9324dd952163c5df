"""Checkpoints on disk: whole or not there, and what is damaged is noticed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.domain.run_folder import MANIFEST_FILE, TENSORS_FILE
from workers.train.checkpoints.files import (
    DamagedCheckpoint,
    Position,
    Snapshot,
    read_checkpoint,
    write_checkpoint,
)


def snapshot(*, step: int = 7, spec_digest: str = "spec") -> Snapshot:
    return Snapshot(
        position=Position(
            step=step,
            epoch=2,
            step_in_epoch=3,
            epoch_sums=(0.1, 1 / 3, 2.0),
            point_sums=(0.0, 0.0, 0.0),
            epoch_state={"lr": 0.01, "best_value": None},
            trained_seconds=1.5,
        ),
        network=[np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 2], np.uint32)],
        optimizer=[np.array(5, np.int64)],
        environment={"threads": 2},
        spec_digest=spec_digest,
        best=False,
    )


def test_a_checkpoint_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    written = write_checkpoint(tmp_path, snapshot())
    again = read_checkpoint(written.path)
    assert again.position == snapshot().position
    before_all = [*snapshot().network, *snapshot().optimizer]
    for before, after in zip(before_all, [*again.network, *again.optimizer], strict=True):
        np.testing.assert_array_equal(before, after)
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
    assert written.bytes == (written.path / TENSORS_FILE).stat().st_size
    assert not list(tmp_path.glob(".*"))


def truncate(path: Path) -> None:
    data = (path / TENSORS_FILE).read_bytes()
    (path / TENSORS_FILE).write_bytes(data[:-3])


def flip_a_bit(path: Path) -> None:
    data = bytearray((path / TENSORS_FILE).read_bytes())
    data[-1] ^= 1
    (path / TENSORS_FILE).write_bytes(bytes(data))


def lose_the_tensors(path: Path) -> None:
    (path / TENSORS_FILE).unlink()


def tear_the_manifest(path: Path) -> None:
    text = (path / MANIFEST_FILE).read_text()
    (path / MANIFEST_FILE).write_text(text[: len(text) // 2])


def flip_a_bit_of_the_manifest(path: Path) -> None:
    text = (path / MANIFEST_FILE).read_text()
    assert "0.333" in text
    (path / MANIFEST_FILE).write_text(text.replace("0.333", "0.332"))


def lose_the_manifest(path: Path) -> None:
    (path / MANIFEST_FILE).unlink()


def lose_all(path: Path) -> None:
    lose_the_tensors(path)
    lose_the_manifest(path)
    path.rmdir()


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip_a_bit,
        lose_the_tensors,
        tear_the_manifest,
        flip_a_bit_of_the_manifest,
        lose_the_manifest,
        lose_all,
    ],
)
def test_a_damaged_checkpoint_is_noticed(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = write_checkpoint(tmp_path, snapshot()).path
    damage(path)
    with pytest.raises(DamagedCheckpoint, match=path.name):
        read_checkpoint(path)


def test_writing_the_same_step_again_replaces_it_whole(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, snapshot())
    path = write_checkpoint(tmp_path, replace(snapshot(), best=True)).path
    assert read_checkpoint(path).best
    assert len(list(tmp_path.iterdir())) == 1


def test_a_disk_that_cannot_be_written_keeps_what_was_there(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, snapshot()).path
    blocked = tmp_path / "file"
    blocked.write_text("a file, where a folder would have to be")
    with pytest.raises(OSError, match="file"):
        write_checkpoint(blocked, snapshot())
    assert read_checkpoint(path).position.step == 7
