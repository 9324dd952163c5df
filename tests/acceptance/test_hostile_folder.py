"""Commands in a folder full of modules with our names, as people have it whose own settings are not ours."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NAMES = (
    "cnnctl",
    "models",
    "service",
    "workers",
    "numpy",
    "keras",
    "tensorflow",
    "json",
    "celery",
    "sqlalchemy",
    "click",
)
COMMAND = Path(sys.executable).with_name("cnnctl")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Every module in it leaves a mark when it is run, and fails."""
    folder = tmp_path / "experiments"
    for name in NAMES:
        program = (
            f"open({str(tmp_path / 'marks')!r}, 'a').write({name!r})\nraise SystemExit('{name} was run')\n"
        )
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(program)
        (folder / name / "__main__.py").write_text(program)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "-digit.png")
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Run:
    """Type a command there, with a Keras of one's own choice."""
    home = tmp_path / "person"
    (home / ".keras").mkdir(parents=True)
    choice = {"image_data_format": "channels_first", "backend": "jax", "floatx": "float64", "epsilon": 0.1}
    (home / ".keras" / "keras.json").write_text(json.dumps(choice))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CNNCTL_")}
    environment |= {
        "HOME": str(home),
        "KERAS_BACKEND": "jax",
        "CNNCTL_HOME": "../data",
        "CNNCTL_GPUS": "sim:1",
    }

    def type_one(*words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [COMMAND, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    return type_one


def save_dataset(folder: Path) -> str:
    x_NHW = np.random.default_rng(0).integers(0, 256, (64, 8, 8)).astype(np.uint8)
    y_N = np.arange(64) % 4
    np.savez(folder / "mine.npz", x_train=x_NHW, y_train=y_N, x_test=x_NHW, y_test=y_N)
    return "npz:mine.npz"


def test_networks_and_datasets_are_looked_at_by_our_modules_alone(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    run("submit", "lenet5", "--dataset", save_dataset(folder), "--hold")
    assert (tmp_path / "data" / "datasets-checked").is_file()
    assert json.loads(run("describe", "lenet5", "--json").stdout)["layers"][0]["output_shape"] == [28, 28, 6]
    assert not (tmp_path / "marks").exists()


@pytest.mark.long
def test_jobs_are_trained_and_their_networks_used_by_our_modules_alone(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    trained = run("run", "lenet5", "--dataset", save_dataset(folder), "--epochs", "1", "--json")
    assert json.loads(trained.stdout)["state"] == "succeeded"
    (row,) = json.loads(run("predict", "1", "--json", "--", "-digit.png").stdout)
    assert row["image"] == "-digit.png"
    assert json.loads(run("evaluate", "1", "--json").stdout)["images"] == 64
    run("export", "1", "--output", "out.keras")
    assert (folder / "out.keras").is_file()
    run("detect", "1", "--json", "--", "-digit.png")
    assert (folder / "-digit-boxes.png").is_file()
    assert not (tmp_path / "marks").exists()
