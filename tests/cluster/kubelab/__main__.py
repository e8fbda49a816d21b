"""`python -m kubelab up|down|image|build`: see `make cluster-up` and CONTRIBUTING.md."""

from __future__ import annotations

import sys

import click

from kubelab import binaries, image, kind, nodeless, provider, shell, waiting


def say(line: str) -> None:
    click.echo(line, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A Kubernetes cluster for tests and for trying things out."""


@main.command()
@click.option("--nodes", type=click.IntRange(1, 2), default=1, show_default=True, help="The second is for failures.")
def up(nodes: int) -> None:
    """Make a cluster that stays until `down`; print what a shell needs to use it."""
    kubeconfig = provider.up(nodes, say)
    click.echo(f"export KUBECONFIG={kubeconfig}")
    if not kind.tool():
        click.echo(f"export PATH={binaries.path('kubectl', say).parent}:{binaries.path('helm', say).parent}:$PATH")


@main.command()
def down() -> None:
    """Take it down, and whatever a killed run has left."""
    provider.down(say)


@main.command("image")
def load_image() -> None:
    """Build the project's image, give it to the cluster; print its reference."""
    click.echo(provider.load_image(say))


@main.command()
def build() -> None:
    """Build and fetch what `up` and the tests need, so that they start at once. Where that cannot be: say why."""
    try:
        nodeless.prepare(say)
    except provider.Unavailable as reason:
        say(f"No API server here: {reason}")
    if provider.is_given() or kind.tool():
        return
    try:
        provider.prepare(say)
    except provider.Unavailable as reason:
        say(f"No cluster here: {reason}")
    else:
        image.onair(say)


if __name__ == "__main__":
    try:
        main()
    except (
        provider.Unavailable,
        provider.Unsupported,
        shell.CommandFailed,
        waiting.NotYet,
        waiting.Hopeless,
    ) as error:
        say(str(error))
        sys.exit(1)
