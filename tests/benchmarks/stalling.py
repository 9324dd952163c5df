"""How long a checkpoint of AlexNet with its momentum, 499 MB, makes training stand still."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from models.catalog.network_config import NetworkConfig
from service.domain.spec_request import resolve_spec
from tests.benchmarks.figures import Figure
from tests.benchmarks.training_loop import TrainingLoop
from workers.train.checkpoints.run_state import RunState
from workers.train.checkpoints.saver import Saver
from workers.train.checkpoints.writer import CheckpointWriter
from workers.train.finiteness import Finiteness
from workers.train.process.reporter import Reporter

ROUNDS, BATCH, STEPS_BETWEEN = 5, 8, 12  # the disk takes longer for a checkpoint than a few steps take


def figures() -> Iterator[Figure]:
    config = NetworkConfig(architecture="alexnet", pool="max:3/2", norm="lrn", init="he_normal")
    loop = TrainingLoop(config, image_size=227, batch_size=BATCH, num_images=BATCH)
    spec = resolve_spec("alexnet", {})
    state = RunState(spec, loop.network, loop.optimizer, spec_digest="", steps_per_point=1, environment={})
    stalls = []
    with tempfile.TemporaryDirectory() as folder:
        reporter = Reporter(Path(folder) / "events.jsonl")
        writer = CheckpointWriter(Path(folder) / "checkpoints", reporter, prepare=state.make_room)
        check = Finiteness(loop.network, lr=0.01).check_snapshot
        saver = Saver(spec.checkpoint, state, writer, reporter, check=check, least_seconds=0)
        for _ in range(ROUNDS):
            for _ in range(STEPS_BETWEEN):  # the writer's thread works beside them
                loop.train(steps=1)
                state.step += 1
            started = time.perf_counter()
            saver.save(best=False)
            stalls.append(time.perf_counter() - started)
        writer.close()
        reporter.close()
    goal = "at most 0.15"
    yield Figure(name="alexnet_checkpoint_stall_median", ratio=statistics.median(stalls), unit="s", goal=goal)
    yield Figure(name="alexnet_checkpoint_stall_longest", ratio=max(stalls), unit="s", goal=goal)
