"""Runs the studies of the catalog and writes docs/studies: `make studies`, or some with STUDIES="lrn l1-l2".

Each run's numbers are kept as they come, in docs/studies/data/NAME.json. So it can be stopped at any time,
and goes on where it was, on another machine, too; the pages are made anew from these files alone.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click

from cnnctl.views.codec import from_json
from cnnctl.views.requests import StudyRequest
from cnnctl.views.studies import StudyEvidence, StudyReport
from service.cli.studies.report_files import dump_evidence, escape, write_report
from service.client.local import LocalClient
from service.commands.people.identity import current_actor
from service.commands.studies.catalog import find_definition, list_definitions
from service.domain.studies.report import make_report
from service.settings import load_settings
from service.store.transaction import open_store

FOLDER = Path(__file__).parent / "studies"
DATA = FOLDER / "data"
HOME = Path("build/studies")
SCALE = "quick"
GPUS = 2
ADDRESS = "127.0.0.1:18495"
START_SECONDS = 180.0
POLL_SECONDS = 2.0
CNNCTL = Path(sys.executable).with_name("cnnctl")


def main() -> None:
    """Run what is not complete, then write all pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="studies of the catalog; all unless said")
    parser.add_argument("--datasets", type=Path, help="the folder with cifar10.npz and others")
    parser.add_argument("--pages", action="store_true", help="run nothing: write the pages from the numbers")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the stack ends, too
    names = asked.names or [one.name for one in list_definitions()]
    DATA.mkdir(parents=True, exist_ok=True)
    todo = [] if asked.pages else [name for name in names if not _is_complete(name)]
    if todo:
        with _stack(asked.datasets) as client:
            for name in todo:
                _run(client, name)
                _write_pages()
    _write_pages()


def _is_complete(name: str) -> bool:
    """Whether the numbers of a study are all there, for the definition of today."""
    path = DATA / f"{name}.json"
    if not path.exists():
        return False
    evidence = _read(path)
    return evidence.digest == find_definition(name).digest and make_report(evidence).is_complete


@contextmanager
def _stack(datasets: Path | None) -> Iterator[LocalClient]:
    """An embedded stack with a data folder of its own, which stays there for the next time."""
    HOME.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "CNNCTL_HOME": str(HOME.resolve()),
        "CNNCTL_GPUS": f"sim:{GPUS}",
        "CNNCTL_API_ADDRESS": ADDRESS,
        "CNNCTL_SOCKET": str((HOME / "api.sock").resolve()),
        **({"CNNCTL_DATASETS_DIR": str(datasets.resolve())} if datasets else {}),
    }
    log = HOME / "up.log"
    with log.open("w") as written:
        stack = subprocess.Popen([CNNCTL, "up"], stdout=written, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + START_SECONDS
        while "API: " not in log.read_text():
            if stack.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"The stack did not start: see {log}")
            time.sleep(POLL_SECONDS)
        settings = load_settings()
        with closing(open_store(settings.database_url)) as store:
            yield LocalClient(store, settings, current_actor(store))
    finally:
        stack.terminate()
        stack.wait()


def _run(client: LocalClient, name: str) -> None:
    """Start a study, or find the one that was interrupted; keep its numbers as they come."""
    path, began, done = DATA / f"{name}.json", time.monotonic(), -1
    study = _find_unfinished(client, name) or _start(client, name)
    while True:
        view = client.get_study(study)
        if view.state == "held":
            click.echo(f"{name} is held: {view.reason}")
            return
        if view.done != done or view.state != "running":
            done = view.done
            click.echo(f"{name}: {done} of {view.runs}, {view.seconds_left or 0:.0f} s left")
            _keep(path, client.get_study_evidence(study))
        if view.state != "running":
            break
        time.sleep(POLL_SECONDS)
    words = make_report(_read(path)).words
    click.echo(f"{name}: {time.monotonic() - began:.0f} s; {words}")


def _start(client: LocalClient, name: str) -> int:
    path = DATA / f"{name}.json"
    runs = _read(path).runs if path.exists() else ()
    known = {run.training_digest: run.numbers for run in runs if run.numbers is not None}
    return client.start_study(StudyRequest(name=name, scale=SCALE, known=known)).study


def _find_unfinished(client: LocalClient, name: str) -> int | None:
    digest = find_definition(name).digest
    for view in client.list_studies(running=True):
        if view.digest == digest:
            return client.rerun_study(view.study).study if view.state == "held" else view.study
    return None


def _keep(path: Path, evidence: StudyEvidence) -> None:
    """Write the numbers whole or not at all, with the commit whose code made them."""
    find_commit = ["git", "rev-parse", "--short=10", "HEAD"]
    commit = subprocess.run(find_commit, capture_output=True, text=True, check=True).stdout.strip()
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f'{{\n "commit": "{commit}",{dump_evidence(evidence)[1:]}')
    temporary.rename(path)


def _read(path: Path) -> StudyEvidence:
    evidence: StudyEvidence = from_json(StudyEvidence, json.loads(path.read_text()))
    return evidence


def _write_pages() -> None:
    """A page for each study that has numbers, and the overview."""
    rows = []
    for path in sorted(DATA.glob("*.json")):
        report = make_report(_read(path))
        write_report(report, "md", FOLDER)
        rows.append(_format_row(report, json.loads(path.read_text())["commit"]))
    (FOLDER / "README.md").write_text("\n".join([*HEAD, *rows]) + "\n")


HEAD = (
    "# What claims of the literature came to here",
    "",
    f"Written by `make studies`, at scale `{SCALE}`: small images, few epochs, minutes a study. All runs",
    f"were trained, on two CPU cores that stand for {GPUS} GPUs. No line is edited by hand; each run's",
    "numbers are in `data/`.",
    "",
    "A verdict is on the direction that the claim says, not on the published size, and on these images and",
    "this scale alone. Intervals are over seeds; p is corrected within a study, not over all of them. What",
    "the words mean: [studies](../studies.md).",
    "",
    "| claim | published | measured here | verdict | seeds | commit |",
    "| --- | --- | --- | --- | --- | --- |",
)


def _format_row(report: StudyReport, commit: str) -> str:
    incomplete = "" if report.is_complete else " (not complete)"
    undecided = f"; {report.undecided}" if report.undecided else ""
    cells: Sequence[str] = (
        f"[{escape(report.claim)}]({report.name}.md)",
        escape(report.published) or "no figure",
        escape(report.words + undecided),
        f"**{report.verdict}**{incomplete}",
        str(min(one.pairs for one in report.contrasts)),
        f"`{commit}`",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
