"""Shows how a job ended and exits with its status."""

import sys

from rich.text import Text

from cnnctl.client import Client
from cnnctl.views.jobs import JobView
from service.cli.session import print_json, shorten_home
from service.cli.terminal import make_console, say
from service.domain.states import JobState

SHOWN = ("val_accuracy", "val_loss", "test_accuracy", "test_loss", "accuracy", "loss", "images_per_second")


def show_result(client: Client, job: int, *, as_json: bool) -> None:
    """Print a job's result; the process ends with 1 when the job did not succeed."""
    view = client.get_job(job)
    if as_json:
        print_json(client.get_result(job))
    else:
        _print_result(view)
    if view.state != JobState.SUCCEEDED.value:
        explain_failure(view)
        sys.exit(1)


def explain_failure(view: JobView) -> None:
    """Say why the job did not succeed, and what to type next."""
    job = view.job
    say(f"Job {job} {view.state}: {view.reason}")
    say(f"Log: cnnctl logs {job}    Details: cnnctl status {job}    Again: cnnctl retry {job}")


def _print_result(view: JobView) -> None:
    console = make_console(soft_wrap=True)
    title = (f"Job {view.job} {view.state}", "bold")
    console.print(Text.assemble(title, f" after {view.epochs} epochs"))
    if view.reason and view.state == JobState.SUCCEEDED.value:
        console.print(f"  {view.reason}")
    for name in SHOWN:
        if view.metrics.get(name) is not None:
            value = view.metrics[name]
            console.print(
                f"  {name:18} {value:,.0f}" if name == "images_per_second" else f"  {name:18} {value:.4f}"
            )
    for verdict in view.verdicts:
        console.print(f"  {verdict.message}", style="yellow")
    if view.model and view.weights_digest:
        console.print(f"  {'model':18} {shorten_home(view.model)}")
        console.print(f"  {'weights':18} {view.weights_digest[:16]}…")
    console.print(f"Curves: cnnctl metrics {view.job}    Details: cnnctl status {view.job}")
