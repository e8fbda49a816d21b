"""`onair ingest`."""

from __future__ import annotations

from pathlib import Path

import click

from onair_core.addresses import HostPort


@click.command()
@click.option(
    "--config",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("/etc/onair"),
    show_default=True,
    help="The pod's Secret, mounted: config.json, token, tls.crt, tls.key.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("/data"),
    show_default=True,
    help="The volume of journal and recordings.",
)
@click.option("--rtmp", type=HostPort(), default=":5222", show_default=True, help="Where encoders come in.")
@click.option("--http", type=HostPort(), default=":8080", show_default=True, help="Where viewers come in.")
@click.option("--control", type=HostPort(), default=":9090", show_default=True, help="The operator, by TLS.")
@click.option("--probes", type=HostPort(), default=":9091", show_default=True, help="Probes and metrics.")
@click.option(
    "--rtmps",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with tls.crt and tls.key: RTMPS on the same port as RTMP.",
)
@click.option(
    "--store-credentials",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder with a file for each of the store's credentials, by the names of the environment.",
)
@click.option("--log-format", type=click.Choice(["console", "json"]), default="json", show_default=True)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def ingest(
    config: Path,
    data: Path,
    rtmp: tuple[str, int],
    http: tuple[str, int],
    control: tuple[str, int],
    probes: tuple[str, int],
    rtmps: Path | None,
    store_credentials: Path | None,
    log_format: str,
    verbose: bool,
) -> None:
    """Serve one channel, as the operator says: the process of an ingest pod."""
    import uvloop

    from onair_core.logs import set_up_logs
    from onair_media.pod.app import Options, StartError, serve

    set_up_logs(log_format, verbose=verbose)
    try:
        uvloop.run(serve(Options(config, data, rtmp, http, control, probes, rtmps, store_credentials)))
    except StartError as error:
        raise click.ClickException(str(error)) from error
