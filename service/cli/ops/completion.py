"""cnnctl completion: lets the shell complete commands and options."""

import click
from click.shell_completion import get_completion_class

from service.cli.terminal import echo

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Let a shell complete commands and options.

    \b
    bash: cnnctl completion bash >> ~/.bashrc
    zsh:  cnnctl completion zsh >> ~/.zshrc
    fish: cnnctl completion fish > ~/.config/fish/completions/cnnctl.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    group = click.get_current_context().find_root().command
    echo(kind(group, {}, "cnnctl", "_CNNCTL_COMPLETE").source())
