"""Every option of a submission, on one device or two: each line trains, or is refused with a reason."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.devices import on_one_or_two
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")
# Two steps an epoch and more: 16 pixels a side and 512 images a step keep a line at some seconds.
TINY = ("--dataset", "digits", "--epochs", "1", "--batch-size", "512", "--seed", "3")
SMALL = ("--set", "data.image_size=16")
LINES = [
    "softmax --init zeros --dropout standard:0.2 --l1 1e-4",
    "mlp --activation sigmoid --norm batch --set model.hidden_layers=3 --diagnostics",
    "lenet5 --init orthogonal --dropout spatial:0.3 --l1 1e-5 --l2 1e-4",
    "lenet5 --init paper --activation tanh --pool average:2/2 --schedule step",
    "lenet5 --init normal:0.05 --norm lrn --head gap --augment crop:2,mirror,pca:0.1",
    "lenet5 --init uniform:0.1 --activation elu --loss focal --class-weights balanced --optimizer adam",
    "lenet5 --dropout standard:0.3 --set model.dropout_place=all --label-smoothing 0.1 --schedule plateau",
    "convnet4 --init he_uniform --norm lrn --optimizer alexnet --set data.normalize=mean --lr 0.001",
    "convnet4 --init paper --pool average:3/2 --precision mixed_bfloat16 --norm lrn",
    "convnet4 --norm batch --head gap --optimizer adamw --set model.penalize=all --l2 1e-4",
    "alexnet --init paper --set model.width=0.125 --augment crop:0,mirror --set data.resize=20",
    "alexnet --init kaiming_fan_out --set model.width=0.125 --set model.towers=1 --norm none --loss focal",
    "alexnet --init glorot_normal --set model.width=0.125 --head gap --norm batch --schedule constant",
    "vgg --init he_normal --set model.stages=2x8,2x16 --set model.kernel=5 --set model.dense_units=32",
    "vgg --init lecun_normal --set model.stages=3x8 --set model.kernel=7 --pool max:3/2 --norm lrn",
    "vgg --init glorot_uniform --set model.stages=1x8,1x8 --set model.dense_units=16 --set checkpoint.keep=1",
]


@pytest.fixture(scope="module")
def jobs(stack: Stack, request: pytest.FixtureRequest) -> dict[tuple[str, int], int]:
    """All lines that are tried, submitted at once, so that they run while the tests look at them."""
    tests = [one for one in request.session.items if isinstance(one, pytest.Function)]
    cases = [one.callspec.params for one in tests if one.originalname == "test_every_option_trains"]
    tried = [(str(case["line"]), int(str(case["gpus"]))) for case in cases]
    return {
        (line, gpus): stack.submit(*line.split(), *TINY, *SMALL, "--gpus", str(gpus)) for line, gpus in tried
    }


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("line", "gpus"), on_one_or_two(LINES))
def test_every_option_trains(stack: Stack, jobs: dict[tuple[str, int], int], line: str, gpus: int) -> None:
    job = stack.wait(jobs[line, gpus], lambda job: job["state"] in ("succeeded", "failed"), seconds=600)
    assert job["state"] == "succeeded", job["reason"]
    assert job["checkpoints"][0]["step"] >= 2
    assert job["attempts"][0]["devices"] == [f"sim-testhost-{n}" for n in range(gpus)] or gpus == 1
    assert 0 < job["metrics"]["loss"] < 100


def make_folder(folder: Path, *, classes: dict[str, int]) -> Path:
    random = np.random.default_rng(0)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (20, 24, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "lenet5 --dataset digits --set data.image_size=8",
            "lenet5 needs images of at least 16 pixels a side",
        ),
        ("lenet5 --dataset folder:{one}", "at least two classes are needed to tell apart. Received: only"),
        ("lenet5 --dataset folder:{untested}", "no test images for 1 of 2 classes (b)"),
        ("lenet5 --dataset folder:/nowhere", "There is no folder /nowhere"),
        ("lenet5 --dataset npz:{nan}", "x_train holds 192 values that are not a number"),
        ("lenet5 --dataset npz:{wrapped}", "which cannot tell 300 classes apart"),
        ("lenet5 --dataset npz:{four}", "with 1 or 3 channels"),
        ("alexnet --set model.tower=1", "Did you mean model.towers?"),
        ("mlp --head gap", "head gap needs feature maps; mlp has none"),
        ("lenet5 --dropout spatial:0.2 --set model.dropout_place=dense", "must be pool"),
        ("vgg --set model.kernel=7", "each stage must have a multiple of 3"),
        ("softmax --init paper", "has no paper"),
        ("lenet5 --augment crop:0 --set data.resize=32", "one place only where data.resize equals"),
        ("lenet5 --class-weights heavy", "loss.class_weights"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_it_is_queued(
    stack: Stack, tmp_path: Path, words: str, message: str
) -> None:
    places = {
        "one": make_folder(tmp_path / "one", classes={"only": 3}),
        "untested": make_folder(tmp_path / "untested", classes={"a": 6, "b": 1}),
        "nan": save_npz(tmp_path / "nan.npz", x=np.full((1, 8, 8, 3), np.nan)),
        "wrapped": save_npz(tmp_path / "wrapped.npz", class_names=np.array([f"c{n}" for n in range(300)])),
        "four": save_npz(tmp_path / "four.npz", x=np.zeros((1, 8, 8, 4), np.uint8)),
    }
    refused = stack.cnnctl_here("submit", *words.format(**places).split(), code=2)
    assert message in refused.stderr
    assert not refused.stdout


def save_npz(path: Path, *, x: object = None, **more: object) -> Path:
    images = np.zeros((1, 8, 8, 3), np.uint8) if x is None else np.asarray(x)
    labels = np.zeros(1, np.uint8)
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels, **more)  # type: ignore[arg-type]
    return path


def test_a_job_on_a_folder_says_which_files_cannot_be_read(stack: Stack, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", classes={"cats": 20, "dogs": 20})
    (folder / "cats" / "3.png").write_bytes(b"broken")
    Image.fromarray(np.full((30, 30), 40_000, np.uint16)).save(folder / "dogs" / "deep.png")
    words = ("--dataset", f"folder:{folder}", "--epochs", "1", "--batch-size", "8")
    job = stack.finished(stack.submit("lenet5", *words))
    details = " ".join(event["detail"] for event in job["events"])
    assert "1 of 41 image files cannot be read and are left out" in details
    assert "3.png" in details
