"""Random faults against a live stack: python -m tests.chaos [--faults 200] [--seed S] [--servers]"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.run import run_chaos

options = argparse.ArgumentParser(description="Random faults against a live stack.")
options.add_argument("--faults", type=int, default=200)
options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
options.add_argument("--servers", action="store_true", help="PostgreSQL and Redis in place of files")
chosen = options.parse_args()
kind = "PostgreSQL and Redis" if chosen.servers else "SQLite and message files"
print(f"seed {chosen.seed}, {chosen.faults} faults, {kind}", flush=True)
started = time.monotonic()
with tempfile.TemporaryDirectory(prefix="cnnctl-chaos-", ignore_cleanup_errors=True) as folder:
    wrong = run_chaos(
        Path(folder) / "home",
        servers=chosen.servers,
        faults=chosen.faults,
        seed=chosen.seed,
        say=lambda text: print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True),
    )
for line in wrong:
    print(f"WRONG: {line}", flush=True)
print(f"{len(wrong)} wrong; again with: --seed {chosen.seed} --faults {chosen.faults}")
sys.exit(1 if wrong else 0)
