"""GET /metrics: the service's figures as Prometheus reads them; docs/monitoring.md says what each means."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.responses import Response

from cnnctl.version import find_version
from service.api.ask import Asked
from service.commands.ops.figures import WAIT_BOUNDS, FigureReader, Figures, GpuFigures, Sums

MIB = 1024**2
router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def scrape(ask: Asked) -> Response:
    """The figures of now, as text, for whoever may read."""
    ask.get_actor()
    registry: CollectorRegistry = ask.request.app.state.figures
    return Response(
        generate_latest(registry), headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE_PLAIN_0_0_4
    )


class Traffic:
    """Counts the requests that are being answered; only the event loop's thread does so."""

    def __init__(self) -> None:
        self.in_flight = 0


class TrafficCount:
    """Stands before an ASGI app."""

    def __init__(self, app: Any, *, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._traffic.in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._traffic.in_flight -= 1


def make_registry(reader: FigureReader, traffic: Traffic) -> CollectorRegistry:
    """A registry of an app's own, which reads the figures anew for each scrape."""
    registry = CollectorRegistry()
    registry.register(_FigureCollector(reader, traffic))
    return registry


class _FigureCollector(Collector):
    def __init__(self, reader: FigureReader, traffic: Traffic) -> None:
        self._reader = reader
        self._traffic = traffic

    def describe(self) -> Sequence[Metric]:
        return ()  # else registering would read the figures

    def collect(self) -> Iterator[Metric]:
        figures = self._reader.read()
        yield InfoMetricFamily(
            "cnnctl_build", "Says which cnnctl answers, always 1.", value={"version": find_version()}
        )
        yield GaugeMetricFamily(
            "cnnctl_api_requests_in_flight",
            "Counts the requests that the API is answering, this one and event streams among them.",
            value=self._traffic.in_flight,
        )
        yield from _describe_processes(figures)
        yield from _describe_jobs(figures)
        yield from _describe_gpus(figures)
        yield from _describe_sums(figures.sums)


def _describe_processes(figures: Figures) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "cnnctl_scheduler_alive", "Is 1 while a scheduler is running.", value=figures.scheduler
    )
    yield SummaryMetricFamily(
        "cnnctl_scheduler_tick_seconds",
        "Measures the ticks of all schedulers since ever: reading, planning, storing and sending.",
        count_value=figures.ticks.count,
        sum_value=figures.ticks.seconds,
    )
    alive = "Is 1 while the host's worker is alive, for each host that is not removed."
    yield _gauges("cnnctl_host_alive", alive, "host", figures.hosts)


def _describe_jobs(figures: Figures) -> Iterator[Metric]:
    yield _gauges("cnnctl_jobs", "Counts the jobs by state.", "state", figures.jobs)
    why = "Counts the jobs in the queue by the class of the reason why they wait."
    yield _gauges("cnnctl_queued_jobs", why, "reason", figures.queued)


def _describe_gpus(figures: Figures) -> Iterator[Metric]:
    yield _gauges("cnnctl_gpus", "Counts the registered GPUs by state.", "state", figures.gpu_states)
    gpus = figures.gpus
    yield _of_gpus(
        "cnnctl_gpu_memory_bytes",
        "Says how much memory a GPU has.",
        {gpu: gpu.memory_mib * MIB for gpu in gpus if gpu.memory_mib},
    )
    yield _of_gpus(
        "cnnctl_gpu_memory_used_bytes",
        "Says how much memory of a GPU is in use, by whomever.",
        {gpu: gpu.memory_used_mib * MIB for gpu in gpus if gpu.memory_used_mib is not None},
    )
    yield _of_gpus(
        "cnnctl_gpu_utilization_ratio",
        "Says during which share of the time a GPU worked, from 0 to 1.",
        {gpu: gpu.utilization_percent / 100 for gpu in gpus if gpu.utilization_percent is not None},
    )
    yield _of_gpus(
        "cnnctl_gpu_temperature_celsius",
        "Says how warm a GPU is.",
        {gpu: gpu.temperature_celsius for gpu in gpus if gpu.temperature_celsius is not None},
    )


def _describe_sums(sums: Sums) -> Iterator[Metric]:
    yield _counters(
        "cnnctl_gpu_seconds",
        "Counts the seconds for which a person's jobs have held GPUs since ever; two GPUs count twice.",
        sums.gpu_seconds,
    )
    yield _counters(
        "cnnctl_preemptions",
        "Counts how often a person's jobs gave their GPUs to another job.",
        sums.preemptions,
    )
    bounds = [*map(str, map(float, WAIT_BOUNDS)), "+Inf"]
    waits = HistogramMetricFamily(
        "cnnctl_job_wait_seconds", "Measures the time from a job's submission to its first step."
    )
    waits.add_metric([], list(zip(bounds, sums.waits.within, strict=True)), sums.waits.seconds)
    yield waits
    yield SummaryMetricFamily(
        "cnnctl_checkpoint_stall_seconds",
        "Measures for how long trainings stood still for their checkpoints.",
        count_value=sums.stalls.count,
        sum_value=sums.stalls.seconds,
    )
    yield CounterMetricFamily(
        "cnnctl_resume_mismatches",
        "Counts the attempts that went on in another environment than their checkpoint was made in.",
        value=sums.inexact_resumes,
    )


def _gauges(name: str, sentence: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, sentence, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counters(name: str, sentence: str, by_owner: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, sentence, labels=["owner"])
    for owner, value in by_owner.items():
        family.add_metric([owner], value)
    return family


def _of_gpus(name: str, sentence: str, values: Mapping[GpuFigures, float]) -> Metric:
    family = GaugeMetricFamily(name, sentence, labels=["host", "gpu"])
    for gpu, value in values.items():
        family.add_metric([gpu.host, str(gpu.number)], value)
    return family
