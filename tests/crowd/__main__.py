"""Five people and many jobs on a live stack: python -m tests.crowd [--jobs 200] [--seed S]"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.crowd.run import run_crowd

options = argparse.ArgumentParser(description="Five people and many jobs on four simulated GPUs.")
options.add_argument("--jobs", type=int, default=200)
options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
chosen = options.parse_args()
print(f"seed {chosen.seed}, {chosen.jobs} jobs", flush=True)
with tempfile.TemporaryDirectory(prefix="cnnctl-crowd-", ignore_cleanup_errors=True) as folder:
    report = run_crowd(Path(folder) / "home", jobs=chosen.jobs, seed=chosen.seed)
print(report.text(), flush=True)
sys.exit(1 if report.wrong else 0)
