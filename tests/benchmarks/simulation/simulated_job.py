"""A job in a simulation: what it has done, and how the policy sees it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.scheduler.policy.decisions import Placement
from service.scheduler.policy.situation import QueuedJob, RunningJob
from service.scheduler.runtime_history import Forecast
from tests.benchmarks.simulation.trace import TraceJob

HOUR = timedelta(hours=1)
SOON_SECONDS = 60.0  # what is left at least of a job by a forecast that it has outlived


@dataclass(slots=True)
class SimulatedJob:
    """A job of the trace and what became of it; times are those of the simulation."""

    job: TraceJob
    queued_at: datetime
    forecast: Forecast | None = None
    forecast_at: datetime | None = None
    done_seconds: float = 0.0
    attained_gpu_seconds: float = 0.0
    attempts: int = 0
    placement: Placement | None = None
    started_at: datetime | None = None
    works_from: datetime | None = None
    first_start_at: datetime | None = None
    ended_at: datetime | None = None
    stopping: bool = False
    preempted_at: tuple[datetime, ...] = ()
    preemptions: int = 0
    estimated_start_at: datetime | None = None

    @property
    def response_seconds(self) -> float:
        """From submission to end."""
        assert self.ended_at
        return (self.ended_at - self.job.submitted_at).total_seconds()

    @property
    def wait_seconds(self) -> float:
        """From submission to first start."""
        assert self.first_start_at
        return (self.first_start_at - self.job.submitted_at).total_seconds()

    def start(self, placement: Placement, now: datetime, *, resume_seconds: float) -> datetime:
        """Hold these GPUs from now on; when the job will end if nobody stops it."""
        self.attempts += 1
        self.placement, self.started_at, self.first_start_at = placement, now, self.first_start_at or now
        self.works_from = now + timedelta(seconds=resume_seconds if self.attempts > 1 else 0.0)
        return self.works_from + timedelta(seconds=self.job.seconds - self.done_seconds)

    def tell_to_stop(self, now: datetime) -> None:
        """Work no more, but keep the GPUs."""
        assert self.started_at
        assert not self.stopping
        self.done_seconds = self.worked_seconds(now)
        self.works_from = None
        self.stopping = True
        self.preemptions += 1
        self.preempted_at = (*(at for at in self.preempted_at if now - at < HOUR), now)

    def give_back(self, now: datetime) -> None:
        """Back to the queue."""
        self.attained_gpu_seconds = self.held_gpu_seconds(now)
        self.stopping, self.started_at, self.placement, self.queued_at = False, None, None, now

    def end(self, now: datetime) -> None:
        self.ended_at = now
        self.attained_gpu_seconds = self.held_gpu_seconds(now)
        self.started_at = None

    def worked_seconds(self, now: datetime) -> float:
        """How much of the job is done."""
        if self.works_from is None:
            return self.done_seconds
        return self.done_seconds + max(0.0, (now - self.works_from).total_seconds())

    def held_gpu_seconds(self, now: datetime) -> float:
        if self.started_at is None:
            return self.attained_gpu_seconds
        return self.attained_gpu_seconds + (now - self.started_at).total_seconds() * self.job.gpus

    def as_queued(self) -> QueuedJob:
        return QueuedJob(
            id=self.job.id,
            owner=self.job.owner,
            gpus=self.job.gpus,
            priority=self.job.priority,
            submitted_at=self.job.submitted_at,
            queued_at=self.queued_at,
            attained_gpu_seconds=self.attained_gpu_seconds,
            expected_seconds=self.forecast.expected_seconds if self.forecast else None,
            gittins_seconds=self.forecast.gittins_seconds if self.forecast else None,
        )

    def as_running(self, now: datetime) -> RunningJob:
        assert self.started_at
        assert self.placement
        forecast = self._recent_forecast(now)
        return RunningJob(
            id=self.job.id,
            owner=self.job.owner,
            priority=self.job.priority,
            host_name=self.placement.host_name,
            gpu_uuids=self.placement.gpu_uuids,
            submitted_at=self.job.submitted_at,
            queued_at=self.queued_at,
            started_at=self.started_at,
            attained_gpu_seconds=self.held_gpu_seconds(now),
            expected_seconds=forecast.expected_seconds if forecast else None,
            gittins_seconds=forecast.gittins_seconds if forecast else None,
            preempted_at=self.preempted_at,
            stopping=self.stopping,
        )

    def _recent_forecast(self, now: datetime) -> Forecast | None:
        """The last forecast, less what has been done since."""
        if self.forecast is None or self.forecast_at is None or self.started_at is None:
            return self.forecast
        done = (now - max(self.forecast_at, self.started_at)).total_seconds()
        expected, price = self.forecast.expected_seconds, self.forecast.gittins_seconds
        return replace(
            self.forecast,
            expected_seconds=max(min(SOON_SECONDS, expected), expected - done),
            gittins_seconds=max(min(SOON_SECONDS, price), price - done),
        )
