"""The `cnnctl` command. Each command lives in a file of its own and is imported only when it is used."""

import gc
import importlib
import sys
from collections.abc import Mapping

import click

from service.errors import CnnctlError

# Name → module and one line of help; a test compares the lines with the commands' own.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "submit": ("service.cli.submit", "Queue a job and print its number."),
    "run": ("service.cli.run", "Queue a job and follow it to its end."),
    "status": ("service.cli.status", "Show all jobs, or everything about one."),
    "logs": ("service.cli.logs", "Print what a job's trainer wrote."),
    "metrics": ("service.cli.metrics", "Plot a job's curves, or print its numbers."),
    "cancel": ("service.cli.cancel", "Stop jobs for good."),
    "pause": ("service.cli.pause", "Let jobs rest until they are resumed."),
    "resume": ("service.cli.resume", "Let paused jobs go on."),
    "hold": ("service.cli.hold", "Keep queued jobs from starting until they are resumed."),
    "priority": ("service.cli.priority", "Change how urgent jobs are."),
    "retry": ("service.cli.retry", "Queue failed or cancelled jobs again."),
    "history": ("service.cli.history", "Show what happened to a job, and who did it."),
    "usage": ("service.cli.usage", "Count GPU-hours by person, project and outcome."),
    "users": ("service.cli.users", "Show what people may have and do, or change it."),
    "notify": ("service.cli.notify", "Say whom to tell when your jobs end, fail or are preempted."),
    "gpus": ("service.cli.gpus", "Show all GPUs and who holds them, or take some out of use."),
    "hosts": ("service.cli.hosts", "Show all hosts and whether their workers are heard."),
    "predict": ("service.cli.predict", "Tell the classes of images, with a job's network."),
    "evaluate": ("service.cli.evaluate", "Score a job's network on test images."),
    "detect": ("service.cli.detect", "Find objects in a larger image, with a job's network."),
    "export": ("service.cli.export", "Write a job's network for other programs."),
    "describe": ("service.cli.describe", "Show a network layer by layer."),
    "list": ("service.cli.list", "List what can be named in a submission."),
    "up": ("service.cli.up", "Run the embedded stack until Ctrl-C."),
    "scheduler": ("service.cli.scheduler", "Run the scheduler."),
    "worker": ("service.cli.worker", "Run the worker of this host."),
    "db": ("service.cli.db", "Create, upgrade or check the database."),
    "gc": ("service.cli.gc", "Delete checkpoints that no job can still need."),
    "doctor": ("service.cli.doctor", "Find out what is wrong and how to mend it."),
}


class LazyGroup(click.Group):
    """Lists commands without importing them, and turns our errors into a message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        gc.disable()  # imports make much and leave no garbage: 5 % of a command's time
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
        except CnnctlError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except BrokenPipeError:  # `cnnctl logs 7 | head`: click ends without a word
            raise
        except OSError as error:  # a full disk, a folder that is not ours
            click.echo(f"Error: {error}", err=True)
            ctx.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cnnctl")
def main() -> None:
    """Train convolutional networks on a shared GPU server.

    \b
    cnnctl submit lenet5 --dataset digits --gpus 2 --epochs 15
    cnnctl status
    """


if __name__ == "__main__":
    sys.exit(main())
