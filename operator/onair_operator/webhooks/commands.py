"""`onair webhooks`: seeing webhooks without writing a receiver, and how endpoints fare."""

from __future__ import annotations

import errno
from pathlib import Path

import click

from onair_operator.verbs.common import output_option
from onair_operator.verbs.endpoints import list_endpoints


@click.group()
def webhooks() -> None:
    """See how webhook endpoints fare, and try out webhooks."""


webhooks.add_command(list_endpoints)


@webhooks.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option(
    "--secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the endpoint's signing secret; several lines are several secrets. Without it nothing is verified.",
)
@output_option("lines", "json", "yaml")
def listen(host: str, port: int, secret_file: Path | None, output: str) -> None:
    """Receive webhooks and print each, verified.

    A line for each; with -o json or yaml all of it. A webhook whose signature is wrong is answered with 400 and shown
    as REFUSED.
    """
    import asyncio

    from onair_operator.webhooks.receive import SHOWN, serve

    secrets = tuple(filter(None, map(bytes.strip, secret_file.read_bytes().splitlines()))) if secret_file else ()
    if secret_file and not secrets:
        raise click.UsageError(f"{secret_file} is empty")
    try:
        asyncio.run(serve(host, port, secrets, click.echo, SHOWN[output]))
    except OSError as error:
        hint = "; another --port, or 0 for a free one?" if error.errno == errno.EADDRINUSE else ""
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}{hint}") from error
