"""`python -m kubelab up|down|image|build`: see `make cluster-up` and CONTRIBUTING.md."""

from __future__ import annotations

import sys

import click

from kubelab import binaries, host, image, kind, provider, shell, waiting


def say(line: str) -> None:
    click.echo(line, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A Kubernetes cluster for tests and for trying things out."""


@main.command()
@click.option("--nodes", type=click.IntRange(1, 2), default=1, show_default=True, help="The second is for failures.")
def up(nodes: int) -> None:
    """Make a cluster that stays until `down`; print its kubeconfig."""
    kubeconfig = provider.up(nodes, say)
    say(
        f"kubectl and helm, if you have none: {binaries.path('kubectl', say).parent}, {binaries.path('helm', say).parent}"
    )
    click.echo(f"export KUBECONFIG={kubeconfig}")


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
    if kind.tool():
        return
    if reason := host.obstacle(say):
        say(f"No cluster here: {reason}")
        return
    binaries.build_all(say)
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
