from pathlib import Path

import numpy as np

from models.predictions import Predictions, load_predictions

SAID = Predictions(
    labels=np.array([0, 2, 2, 2, 5], np.int32),
    classes=np.array([0, 2, 2, 1, 0], np.int32),
    probabilities=np.array([0.9, 0.5, 0.4, 0.3, 0.25], np.float32),
)


def test_a_class_is_found_as_often_as_its_images_are_named_right() -> None:
    assert SAID.recalls() == {0: 1.0, 2: 2 / 3, 5: 0.0}


def test_predictions_come_back_from_a_file_that_was_written_whole(tmp_path: Path) -> None:
    SAID.save(tmp_path / "predictions.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.npz"]
    read = load_predictions(tmp_path / "predictions.npz")
    for name in ("labels", "classes", "probabilities"):
        np.testing.assert_array_equal(getattr(read, name), getattr(SAID, name))
        assert getattr(read, name).dtype == getattr(SAID, name).dtype
