"""A notebook, cell by cell, in a folder that has modules of the service's names of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import ROOT

CELLS = """
import sys
import cnnctl
lab = cnnctl.connect()
first = lab.submit("softmax", dataset="synthetic", epochs=2, name="first", tags=["ablation"], seed=1)
second = lab.submit(like=first, lr=0.02)
assert first.wait(progress=True, timeout=120).state == "succeeded"
assert second.wait(timeout=120).state == "succeeded"
accuracy = first.metrics("val_accuracy")
assert [step for step, _ in accuracy] and all(0 <= value <= 1 for _, value in accuracy)
assert set(first.metrics()) >= {"loss", "val_loss"}
assert isinstance(first.log(), str)
path = first.download()
assert path.stat().st_size > 1000, path
assert [one.field for one in lab.diff(first, second).spec] == ["optimizer.lr"]
assert [job.number for job in lab.jobs(tag="ablation")] == [first.number]
assert repr(first) == "<job 1: succeeded>"
try:
    lab.submit("lenet5", colour="red")
except cnnctl.errors.SpecError as error:
    assert "colour" in str(error)
try:
    lab.job(99)
except cnnctl.errors.JobNotFound:
    print("done")
heavy = {"service", "sqlalchemy", "celery", "fastapi", "tensorflow", "click", "pydantic"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.xdist_group("stack of up")
def test_a_notebook_connects_submits_waits_reads_curves_downloads_and_compares(tmp_path: Path) -> None:
    home, notebook = tmp_path / "h", tmp_path / "notebook"
    notebook.mkdir()
    for name in ("models", "service"):  # a person's own
        (notebook / name).mkdir()
        (notebook / name / "__init__.py").write_text("raise RuntimeError('not the service')")
    (notebook / "workers.py").write_text("raise RuntimeError('not the service')")
    (notebook / "cells.py").write_text(CELLS)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CNNCTL_")}
    environment = {**inherited, "CNNCTL_HOME": str(home), "CNNCTL_GPUS": "sim:2", "HOME": str(tmp_path)}
    environment |= {"XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "service.cli.main", "up"]
    with subprocess.Popen(words, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as stack:
        assert stack.stderr is not None
        said = [next(line for line in stack.stderr if line.startswith("API: "))]
        done = subprocess.run(
            [sys.executable, "cells.py"],
            cwd=notebook,
            env=environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        link = subprocess.run(
            [sys.executable, "-m", "service.cli.main", "web", "--no-open"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        stack.terminate()
        stack.communicate(timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
    port = said[0].split()[1].rpartition(":")[2]
    assert link.stdout.startswith(f"http://localhost:{port}/open/")
