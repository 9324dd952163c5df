"""Simulates the scheduler on jobs of real clusters, beside other policies.

    python -m tests.benchmarks.simulate ../shared/data/philly.csv --cluster 11cb48 --hosts 2 --gpus 8

A job larger than a host counts as a whole host. The policies other than ours are told all durations; ours
learns them from the jobs that have finished at that moment.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.simulation.engine import Costs
from tests.benchmarks.simulation.table import OURS, RIVALS, Summary, simulate_all
from tests.benchmarks.simulation.trace import Cluster, load, read_trace, stretch

COLUMNS = (
    "mean JCT (h)",
    "p95 JCT (h)",
    "median wait (s)",
    "preemptions",
    "lost (%)",
    "guess off (s)",
    "guess off (%)",
)


def main() -> None:
    options = _parse()
    cluster = Cluster(hosts=options.hosts, gpus_per_host=options.gpus)
    jobs = read_trace(options.trace, cluster=options.cluster, largest=options.gpus)
    if not jobs:
        sys.exit(f"{options.trace} has no jobs of a cluster {options.cluster!r}")
    if options.load:
        jobs = stretch(jobs, times=load(jobs, cluster) / options.load)
    costs = Costs(stop_seconds=options.stop_seconds, resume_seconds=options.resume_seconds)
    print(f"{len(jobs)} jobs, load {load(jobs, cluster):.2f}", file=sys.stderr)
    summaries = {}
    for name, summary in simulate_all(jobs, cluster, costs, options.policy):
        summaries[name] = asdict(summary)
        print(_line(name, summary), file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps(summaries, indent=1))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.simulate", description=__doc__)
    parser.add_argument("trace", type=Path, help="CSV with timestamp, duration, num_gpus, cluster")
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--gpus", type=int, default=8, help="GPUs of a host")
    parser.add_argument("--load", type=float, help="stretch the time between submissions to this load")
    parser.add_argument(
        "--resume-seconds",
        type=float,
        default=2.0,
        help="from the start of an attempt to the first new step",
    )
    parser.add_argument("--stop-seconds", type=float, default=1.0, help="to checkpoint and free the GPUs")
    parser.add_argument("--policy", action="append", choices=[OURS, *RIVALS], help="only this; repeatable")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _line(name: str, one: Summary) -> str:
    values = (
        f"{one.mean_jct_hours:.2f}",
        f"{one.p95_jct_hours:.1f}",
        f"{one.median_wait_seconds:.0f}",
        f"{one.preemptions}",
        f"{one.resume_overhead_percent:.2f}",
        _or_blank(one.median_estimate_error_seconds),
        _or_blank(one.median_estimate_error_percent),
    )
    pairs = zip(COLUMNS, values, strict=True)
    return f"{name:25}" + "  ".join(f"{label} {value:>7}" for label, value in pairs)


def _or_blank(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


if __name__ == "__main__":
    main()
