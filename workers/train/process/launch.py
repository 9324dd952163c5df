"""The launch file that a worker gives a trainer: JSON in the run folder, enough to repeat the run."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from service.domain.run_folder import LAUNCH_FILE
from service.domain.stored import read_stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Where and how to run one attempt."""

    gpu_uuids: tuple[str, ...]
    """The leased devices of this host."""
    simulated: bool
    """Whether they are simulated: these become logical CPU devices."""
    threads: int
    """CPU threads for all devices together; fixed here, because it changes the last bit of sums."""
    datasets_dir: str
    """The folder of the datasets that the catalog names."""
    resume_from: tuple[str, ...]
    """Checkpoint folders to continue from, newest first."""
    lease_seconds: float
    """How long a worker may be silent before its job starts elsewhere."""
    cluster: tuple[str, ...] = ()
    """HOST:PORT of every trainer of the attempt, each with equally many devices; empty on one host."""
    rank: int = 0
    """This trainer's index in `cluster`; 0 is the chief, which alone reports and writes checkpoints."""
    data_roots: tuple[str, ...] = ()
    """Folders that must contain a dataset given by its path; empty: any folder."""
    checkpoint_seconds: float = 1.0
    """The least time between two checkpoints."""
    disk_reserve_percent: float = 0.0
    """The share of the disk that regular checkpoints leave free."""
    drivers: tuple[str, ...] = ()
    """The versions of the driver of this host's GPUs: one, as a rule; none of simulated ones."""

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
