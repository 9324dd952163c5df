"""What a worker hands a trainer: one JSON file in the run folder, from which the run can be repeated."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from service.domain.run_folder import LAUNCH_FILE
from service.domain.stored import read_stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Where to run one attempt.

    `gpu_uuids` are the leased devices; simulated ones become logical CPU devices. `threads` is the number of
    CPU threads for all of them: it changes sums in the last bit, so it is fixed here. `resume_from` lists
    checkpoint folders, newest first. `lease_seconds` is how long a worker may
    be silent until its job starts elsewhere. A dataset by place has to lie in one of `data_roots`, if any.
    `checkpoint_seconds` is the least time between two checkpoints, and `disk_reserve_percent` what they leave
    free of the disk.

    Over several hosts, `cluster` lists HOST:PORT of every trainer, each with as many devices, and `rank` is
    the place of this one in it; the first is the chief, which alone reports and writes checkpoints.
    """

    gpu_uuids: tuple[str, ...]
    simulated: bool
    threads: int
    datasets_dir: str
    resume_from: tuple[str, ...]
    lease_seconds: float
    cluster: tuple[str, ...] = ()
    rank: int = 0
    data_roots: tuple[str, ...] = ()
    checkpoint_seconds: float = 1.0
    disk_reserve_percent: float = 0.0

    @property
    def hosts(self) -> int:
        return max(1, len(self.cluster))

    @property
    def replicas(self) -> int:
        """The devices of all hosts together."""
        return self.hosts * len(self.gpu_uuids)

    def save(self, run_dir: Path) -> None:
        (run_dir / LAUNCH_FILE).write_text(json.dumps(asdict(self), indent=1))


def load_launch(run_dir: Path) -> Launch:
    """Read the launch file of a run folder."""
    values = json.loads((run_dir / LAUNCH_FILE).read_text())
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return read_stored(Launch, {**values, **lists})
