"""Means of the steps' reports: over the epoch, and since the last point of the batch curves.

Sums are float64 and grow step by step in order, so they do not depend on how many steps a call had.
"""

import numpy as np
import numpy.typing as npt

from workers.train.loop import NUM_MEANS

Sums = npt.NDArray[np.float64]


class RunningMeans:
    """Running sums of the first three numbers of reports: data loss, penalty, accuracy."""

    def __init__(self, *, steps_per_point: int) -> None:
        self._steps_per_point = steps_per_point
        self.epoch_sums: Sums = np.zeros(NUM_MEANS)
        self.point_sums: Sums = np.zeros(NUM_MEANS)

    def add(self, report: npt.NDArray[np.float32], *, step_in_epoch: int, last: bool) -> Sums | None:
        """Add a step's report; return the mean since the last point if a new point is due."""
        exact = report[:NUM_MEANS].astype(np.float64)
        self.epoch_sums += exact
        self.point_sums += exact
        left_over = step_in_epoch % self._steps_per_point
        if left_over and not last:
            return None
        mean: Sums = self.point_sums / (left_over or self._steps_per_point)
        self.point_sums = np.zeros(NUM_MEANS)
        return mean

    def epoch_mean(self, steps: int) -> Sums:
        """The mean over the first `steps` steps of the epoch."""
        return self.epoch_sums / steps

    def start_epoch(self) -> None:
        self.epoch_sums = np.zeros(NUM_MEANS)

    def restore(self, *, epoch_sums: tuple[float, ...], point_sums: tuple[float, ...]) -> None:
        """Continue from the sums of a checkpoint."""
        self.epoch_sums, self.point_sums = np.array(epoch_sums), np.array(point_sums)
