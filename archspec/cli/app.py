"""All commands. What they need is imported inside them: `archspec --help` reads no spec code."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from archspec.cli import figures, language, network
from archspec.cli.search import search
from archspec.cli.see import see
from archspec.cli.show import result
from archspec.cli.train import evaluate, generate, predict, push, runs, save, train
from archspec.cli.transfer import transfer
from archspec.cli.weights import weights
from archspec.text import options
from archspec.version import VERSION


@click.command()
@click.argument(
    "shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]), help="bash, zsh or fish."
)
def completion(shell: str) -> None:
    """Show the script that makes a shell complete what is typed.

    \b
    bash  echo 'eval "$(archspec completion bash)"' >> ~/.bashrc
    zsh   echo 'eval "$(archspec completion zsh)"' >> ~/.zshrc
    fish  archspec completion fish > ~/.config/fish/completions/archspec.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    result(kind(app, {}, "archspec", "_ARCHSPEC_COMPLETE").source())


COMMANDS = (
    network.check, network.compile_, network.summary, network.expand, network.export,
    network.diff, figures.render, figures.gallery, train, predict, generate, evaluate, runs, save,
    push, transfer, see, search, weights,
    language.new, language.fmt, language.list_, language.explain, language.schema, completion,
)  # fmt: skip


class _Group(click.Group):
    """Lists its commands in the order they are given in: the one most likely wanted first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_Group, commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(VERSION, message="archspec %(version)s")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Architectures of neural networks as short YAML specs."""
    ctx.with_resource(options.typed(_known))


def _known() -> set[str]:
    """The options of the command that runs."""
    return {param.name or "" for param in click.get_current_context().command.params}
