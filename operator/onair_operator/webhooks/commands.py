"""`onair webhooks`: seeing webhooks without writing a receiver."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def webhooks() -> None:
    """Try out webhooks."""


@webhooks.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option(
    "--secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the endpoint's signing secret; several lines are several secrets. Without it nothing is verified.",
)
@click.option("--output", "-o", type=click.Choice(["lines", "json"]), default="lines", show_default=True)
def listen(host: str, port: int, secret_file: Path | None, output: str) -> None:
    """Receive webhooks and print each on a line, verified.

    A webhook whose signature is wrong is answered with 400 and shown as REFUSED.
    """
    import asyncio

    from onair_operator.webhooks.receive import serve

    secrets = tuple(filter(None, map(bytes.strip, secret_file.read_bytes().splitlines()))) if secret_file else ()
    if secret_file and not secrets:
        raise click.UsageError(f"{secret_file} is empty")
    try:
        asyncio.run(serve(host, port, secrets, click.echo, as_json=output == "json"))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
