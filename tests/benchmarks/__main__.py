"""Runs the benchmarks, all or those named: python -m tests.benchmarks [NAME …]"""

import importlib
import signal
import sys

BENCHMARKS = (
    "lrn",
    "towers",
    "augmenting",
    "decoding",
    "diagnosing",
    "finiteness",
    "alexnet",
    "stalling",
    "ingesting",
    "heartbeats",
    "submitting",
    "serving",
    "streaming",
    "pages",
    "idling",
    "preempting",
    "scheduling",
    "ticking",
    "studies",
    "start",
    "throughput",
)

signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # so that what they started ends, too

for name in sys.argv[1:] or BENCHMARKS:
    for figure in importlib.import_module(f"tests.benchmarks.{name}").figures():
        print(figure.line(), flush=True)
        print(f"  goal: {figure.goal}", file=sys.stderr, flush=True)
