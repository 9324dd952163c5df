"""The `cnnctl` command. Each command lives in a file of its own and is imported only when it is used."""

import gc
import importlib
import sys
from collections.abc import Mapping

import click

from service.cli.terminal import prepare_streams, say
from service.errors import CnnctlError
from service.private_files import close_umask
from service.visible import escape

# Name → module and one line of help; a test compares the lines with the commands' own.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "submit": ("service.cli.jobs.submit", "Queue a job and print its number."),
    "run": ("service.cli.jobs.run", "Queue a job and follow it to its end."),
    "status": ("service.cli.jobs.status", "Show the jobs, or everything about one."),
    "diff": ("service.cli.jobs.diff", "Show in what two jobs differ."),
    "compare": ("service.cli.jobs.compare", "Show in what several jobs differ."),
    "label": ("service.cli.jobs.label", "Change the name, the note and the tags of a job."),
    "logs": ("service.cli.jobs.logs", "Print what a job's trainer wrote."),
    "metrics": ("service.cli.jobs.metrics", "Plot a job's curves, or print its numbers."),
    "cancel": ("service.cli.jobs.cancel", "Stop jobs for good."),
    "pause": ("service.cli.jobs.pause", "Pause jobs until they are resumed."),
    "resume": ("service.cli.jobs.resume", "Queue paused jobs again."),
    "hold": ("service.cli.jobs.hold", "Keep queued jobs from starting until they are resumed."),
    "priority": ("service.cli.jobs.priority", "Change how urgent jobs are."),
    "retry": ("service.cli.jobs.retry", "Queue failed or cancelled jobs again."),
    "download": (
        "service.cli.jobs.download",
        "Download a job's network, predictions, log, spec or checkpoint.",
    ),
    "history": ("service.cli.jobs.history", "Show what happened to a job, and who did it."),
    "usage": ("service.cli.people.usage", "Count GPU-hours by person, project and outcome."),
    "audit": ("service.cli.people.audit", "Show who did what, the newest first."),
    "whoami": ("service.cli.people.whoami", "Show who you are to the service, and how it knows."),
    "token": ("service.cli.people.token", "Make, list and revoke your tokens."),
    "login": ("service.cli.people.login", "Keep a token, so that commands ask the API at URL."),
    "logout": ("service.cli.people.logout", "Forget the token that cnnctl login kept."),
    "web": ("service.cli.ops.web", "Open the pages in a browser, as yourself."),
    "users": ("service.cli.people.users", "Show what people may have and do, or change it."),
    "notify": ("service.cli.people.notify", "Get messages when your jobs end, fail or are preempted."),
    "gpus": ("service.cli.fleet.gpus", "Show all GPUs and who holds them, or take some out of use."),
    "hosts": (
        "service.cli.fleet.hosts",
        "Show all hosts and whose workers are alive, or remove one.",
    ),
    "predict": ("service.cli.networks.predict", "Classify images with a job's network."),
    "evaluate": ("service.cli.networks.evaluate", "Score a job's network on test images."),
    "detect": ("service.cli.networks.detect", "Find objects in a larger image, with a job's network."),
    "export": ("service.cli.networks.export", "Write a job's network for other programs."),
    "dataset": ("service.cli.networks.dataset", "Name images that everybody can train on."),
    "study": ("service.cli.studies.study", "Examine a claim: arms compared over seeds."),
    "describe": ("service.cli.networks.describe", "Show a network layer by layer."),
    "list": ("service.cli.networks.list", "List what can be named in a submission."),
    "up": ("service.cli.ops.up", "Run the embedded stack until Ctrl-C."),
    "scheduler": ("service.cli.ops.scheduler", "Run the scheduler."),
    "worker": ("service.cli.ops.worker", "Run the worker of this host."),
    "api": ("service.cli.ops.api", "Serve the API, on CNNCTL_SOCKET and CNNCTL_API_ADDRESS."),
    "db": ("service.cli.ops.db", "Create, upgrade or check the database."),
    "gc": ("service.cli.ops.garbage", "Delete checkpoints that no job can still need."),
    "doctor": ("service.cli.ops.doctor", "Find out what is wrong and what to do about it."),
    "completion": ("service.cli.ops.completion", "Let a shell complete commands and options."),
}


LONGEST_WORD = 4096


class LazyGroup(click.Group):
    """Lists commands without importing them, and turns our errors into a message and an exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for word in args:
            if len(word) > LONGEST_WORD:
                raise click.UsageError(
                    f"A word of the command line may have at most {LONGEST_WORD:,} characters: no path is "
                    f"longer. Received {len(word):,}, which begin with {word[:40]!r}"
                )
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        gc.disable()  # imports allocate much and leave no garbage: 5 % of a command's time
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        gc.enable()
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:  # Click prints it by itself
            raise click.UsageError(escape(error.format_message()), ctx=error.ctx) from error
        except CnnctlError as error:
            say(f"Error: {error}")
            ctx.exit(error.exit_code)
        except BrokenPipeError:  # `cnnctl logs 7 | head`: click ends without a word
            raise
        except OSError as error:  # a full disk, a folder that is not ours
            say(f"Error: {error}")
            ctx.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cnnctl")
def main() -> None:
    """Train convolutional networks on a shared GPU server.

    \b
    cnnctl submit lenet5 --dataset digits --gpus 2 --epochs 15
    cnnctl status
    """
    prepare_streams()
    close_umask()


if __name__ == "__main__":
    sys.exit(main())
