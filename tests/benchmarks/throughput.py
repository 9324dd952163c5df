"""Training through the whole service against our trainer alone, `model.fit` and PyTorch, one after the other.

PyTorch is run by TORCH_PYTHON, an interpreter that has it; by this one where that is not set.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.catalog.network_config import NetworkConfig
from service.domain import run_folder as files
from tests.benchmarks.figures import Figure
from tests.benchmarks.service_stack import ServiceStack, read_events, running_service
from workers.attempts.starter import ENVIRONMENT
from workers.train.process.launch import load_launch

HERE = Path(__file__).parent
NEVER = 1e9
Rates = list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is trained, and the goals: images a second as a multiple of each other way's."""

    config: NetworkConfig
    shape: tuple[int, int, int]
    images: int
    batch: int
    epochs: int
    rounds: int
    goals: Mapping[str, float]

    def fields(self, data: Path) -> Mapping[str, object]:
        model = {f"model.{name}": value for name, value in asdict(self.config).items() if name != "options"}
        return {
            **model,
            "data.dataset": f"npz:{data}",
            "data.image_size": self.shape[0],
            "data.augment": "none",
            "data.validation_fraction": 0.0,
            "training.batch_size": self.batch,
            "training.epochs": self.epochs,
        }


CASES = (
    Case(
        config=NetworkConfig(architecture="lenet5"),
        shape=(28, 28, 1),
        images=10_240,
        batch=32,
        epochs=4,
        rounds=3,
        goals={"fit": 2.5, "trainer": 0.99, "torch": 1.0},
    ),
    Case(
        config=NetworkConfig(architecture="convnet4", pool="max:3/2"),
        shape=(32, 32, 3),
        images=5_120,
        batch=128,
        epochs=3,
        rounds=3,
        goals={"fit": 1.05, "trainer": 0.99, "torch": 1.0},
    ),
    Case(
        config=NetworkConfig(
            architecture="alexnet", pool="max:3/2", norm="lrn", dropout="standard:0.5", init="he_normal"
        ),
        shape=(227, 227, 3),
        images=192,
        batch=64,
        epochs=3,
        rounds=1,
        goals={"fit": 1.0, "trainer": 0.99, "torch": 3.0},
    ),
)


def figures() -> Iterator[Figure]:
    with running_service(CNNCTL_GPUS="sim:1") as service, tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            yield from _compare(service, case, Path(folder))


def _compare(service: ServiceStack, case: Case, folder: Path) -> Iterator[Figure]:
    data = folder / f"{case.config.architecture}.npz"
    _make_data(data, case)
    rates: dict[str, Rates] = {}
    for turn in range(case.rounds):
        for name, way in _ways(service, case, data, folder / f"{data.stem}-{turn}").items():
            rates.setdefault(name, []).extend(way()[1:])
    medians = {name: statistics.median(values) for name, values in rates.items() if values}
    for name, rate in medians.items():
        yield Figure(
            name=f"throughput_{data.stem}_{name}", ratio=rate, unit="images/s", goal="see the ratios below"
        )
    for name in medians.keys() & case.goals.keys():
        yield Figure(
            name=f"throughput_{data.stem}_against_{name}",
            ratio=medians["service"] / medians[name],
            unit="times",
            goal=f"at least {case.goals[name]}",
        )


def _make_data(path: Path, case: Case) -> None:
    random = np.random.default_rng(0)
    x_NHWC = random.integers(0, 256, (case.images + 100, *case.shape)).astype(np.uint8)
    y_N = (np.arange(len(x_NHWC)) % 10).astype(np.int32)
    train, test = slice(case.images), slice(case.images, None)
    np.savez(path, x_train=x_NHWC[train], y_train=y_N[train], x_test=x_NHWC[test], y_test=y_N[test])


def _ways(service: ServiceStack, case: Case, data: Path, folder: Path) -> Mapping[str, Callable[[], Rates]]:
    sizes = [str(data), str(case.batch), str(case.epochs)]
    network = json.dumps(asdict(case.config))
    ran: list[Path] = []

    def through_service() -> Rates:
        job_id = service.submit(case.config.architecture, case.fields(data))
        rates = _rates(service.finish(job_id))
        ran.append(service.run_folder(job_id))
        return rates

    return {
        "service": through_service,
        "trainer": lambda: _train_alone(ran[0], folder),
        "fit": lambda: _run_script(sys.executable, HERE / "plain_fit.py", network, *sizes),
        "torch": lambda: _run_torch(case.config.architecture, *sizes),
    }


def _train_alone(like: Path, folder: Path) -> Rates:
    """Train the spec of another run in a process that has no worker."""
    folder.mkdir()
    (folder / files.SPEC_FILE).write_text((like / files.SPEC_FILE).read_text())
    replace(load_launch(like), lease_seconds=NEVER).save(folder)
    subprocess.run(
        [sys.executable, "-m", "workers.train", str(folder)], env={**ENVIRONMENT, **os.environ}, check=True
    )
    return _rates(read_events(folder))


def _rates(events: list[Any]) -> Rates:
    values = [event["values"] for event in events if event["kind"] == "points"]
    return [value["images_per_second"] for value in values if "images_per_second" in value]


def _run_torch(*words: str) -> Rates:
    python = os.environ.get("TORCH_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode:
        print(f"  skipped: {python} has no PyTorch; set TORCH_PYTHON to one that has", file=sys.stderr)
        return []
    return _run_script(python, HERE / "plain_torch.py", *words)


def _run_script(python: str, script: Path, *words: str) -> Rates:
    # As a person would run it: without what is set for our trainers.
    done = subprocess.run([python, str(script), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script.name} failed:\n{done.stderr}")
    return [float(word) for word in done.stdout.split()]
