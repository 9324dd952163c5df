"""Studies: how long one takes to queue, what it adds to its training, and how often verdicts are right.

The runs of the last are real: softmax on digits, of one spec, with many seeds. Studies are drawn of them: two
arms of ten runs each that differ in nothing, and the same with a difference planted in one.
"""

import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from cnnctl.views.requests import StudyRequest
from cnnctl.views.studies import StudyEvidence
from service.client.local import LocalClient
from service.commands.studies.starting import start_study
from service.domain.people import Actor
from service.domain.studies.statistics import Outcome, estimate, judge
from service.settings import load_settings
from service.store.transaction import Store
from tests.benchmarks.databases import add_host, open_stores
from tests.benchmarks.figures import Figure, median_seconds
from tests.stack import Stack

ADA = Actor(name="ada")
SEEDS, STUDIES, PAIRS = 500, 1000, 10
HALF = """
name = "{name}"
claim = "none"
source = "benchmark"
network = "{network}"
factor = ["optimizer.lr"]
base.data.dataset = "digits"
base.training.epochs = {epochs}
arms.a.optimizer.lr = 0.01
arms.b.optimizer.lr = 0.02
contrasts = [{{ first = "a", second = "b", metric = "test_accuracy", expect = "equal", margin = 0.01 }}]
"""


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as home, open_stores() as stores:
        for name, store in stores.items():
            yield _time_queueing(name, store, home)
    with tempfile.TemporaryDirectory() as home, closing(Stack(Path(home))) as stack:
        stack.cnnctl("db", "upgrade")
        for program in ("scheduler", "worker"):
            stack.start(program)
        client = LocalClient(stack.store, stack.settings, ADA)
        _run(client, HALF.format(name="warming", network="softmax", epochs=1), seeds=6)
        yield _time_study(client)
        yield from _count_verdicts(_train_many(client))


def _time_queueing(name: str, store: Store, home: str) -> Figure:
    add_host(store)
    settings = load_settings({"CNNCTL_HOME": home})
    toml = HALF.format(name="queueing", network="lenet5", epochs=5)

    def queue() -> None:
        start_study(store, settings, StudyRequest(toml=toml, seeds=SEEDS, fresh=True), actor=ADA)

    seconds = median_seconds({"queue": queue}, rounds=3)["queue"]
    return Figure(name=f"queue_{2 * SEEDS}_jobs_{name}", ratio=seconds, unit="s", goal="at most 3")


def _time_study(client: LocalClient) -> Figure:
    """Time a study of 40 jobs beside what its attempts took, shared by two GPUs."""
    began = time.perf_counter()
    evidence = _run(client, HALF.format(name="forty", network="lenet5", epochs=20), seeds=20)
    wall = time.perf_counter() - began
    jobs = [client.get_job(run.job) for run in evidence.runs if run.job is not None]
    attempts = [attempt for job in jobs for attempt in job.attempts]
    trained = sum(
        (one.ended_at - one.started_at).total_seconds() for one in attempts if one.ended_at and one.started_at
    )
    return Figure(name="study_of_40_lenet5", ratio=wall / (trained / 2), unit="times", goal="at most 1.05")


def _train_many(client: LocalClient) -> Sequence[float]:
    """The test accuracies of one spec with 100 seeds."""
    evidence = _run(client, HALF.format(name="truth", network="softmax", epochs=3), seeds=100)
    return [
        run.numbers["last"]["test_accuracy"]
        for run in evidence.runs
        if run.arm == "a" and run.numbers is not None
    ]


def _run(client: LocalClient, toml: str, *, seeds: int) -> StudyEvidence:
    study = client.start_study(StudyRequest(toml=toml, seeds=seeds)).study
    while client.get_study(study).state == "running":
        time.sleep(0.2)
    return client.get_study_evidence(study)


def _count_verdicts(values: Sequence[float]) -> Iterator[Figure]:
    spread = statistics.stdev(values) * 2**0.5  # of the difference of two runs
    for name, planted, right, goal in (
        ("nothing_is_found_in_nothing", 0.0, ("equal", "too weak"), "at least 0.95"),
        ("one_standard_deviation_is_found", spread, ("confirmed",), "at least 0.75"),
    ):
        said = Counter(
            _draw_study(values, planted, margin=0.5 * spread, seed=seed) for seed in range(STUDIES)
        )
        share = sum(said[verdict] for verdict in right) / STUDIES
        yield Figure(name=name, ratio=share, unit="of 1", goal=goal)


def _draw_study(values: Sequence[float], planted: float, *, margin: float, seed: int) -> str:
    drawn = random.Random(seed).sample(values, 2 * PAIRS)
    pairs = [(Outcome(a + planted), Outcome(b)) for a, b in zip(drawn[:PAIRS], drawn[PAIRS:], strict=True)]
    found = estimate(pairs, margin=margin)
    return judge(found, p=found.p, expect="higher", margin=margin, is_ratio=False)
