"""Repeats the training of a run folder in the foreground: python -m workers.train RUN_DIR."""

import sys

from service.private_files import close_umask
from workers.train.entry import run_trainer

if len(sys.argv) != 2:
    sys.exit("usage: python -m workers.train RUN_DIR")
close_umask()
run_trainer(sys.argv[1])
