"""A job that an older cnnctl paused goes on from its newest checkpoint."""

import tarfile
from pathlib import Path

from tests.stack import ROOT
from tests.trainer_run import Run
from workers.attempts.starter import Starter

GOLDEN = ROOT / "tests" / "golden" / "5082cc5-sqlite.tar.gz"


def test_a_job_of_5082cc5_is_resumed_where_it_was_paused(tmp_path: Path, starter: Starter) -> None:
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(tmp_path, filter="data")
    before = tmp_path / "cnnctl-golden" / "runs" / "3" / "1"
    newest_first = sorted(map(str, (before / "checkpoints").glob("step-*")), reverse=True)
    resumed = Run(before.with_name("2"), starter)
    resumed.start(spec_text=(before / "spec.json").read_text(), resume_from=tuple(newest_first), threads=1)
    resumed.wait_for("started")
    resumed.terminate()
    assert resumed.end()["outcome"] == "interrupted"
    started = next(event for event in resumed.events() if event["kind"] == "started")
    assert started["step"] == 1400
    assert "another spec" not in started["note"]
