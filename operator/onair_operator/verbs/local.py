"""`onair local`."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import click

from onair_core.addresses import HostPort
from onair_core.local_state import DEFAULT_STATE_DIR


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH…")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_STATE_DIR,
    show_default=True,
    envvar="ONAIR_STATE_DIR",
    help="Where keys, status, event logs and recordings are kept.",
)
@click.option(
    "--rtmp",
    type=HostPort(),
    default="0.0.0.0:5222",
    show_default=True,
    help="Where encoders come in.",
)
@click.option(
    "--http",
    type=HostPort(),
    default="127.0.0.1:8080",
    show_default=True,
    help="Where viewers come in.",
)
@click.option(
    "--tls-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="RTMPS certificate, PEM."
)
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its key, PEM.")
@click.option("--allow-loopback-webhooks", is_flag=True, help="Webhooks may go to this machine.")
@click.option("--allow-outbound", multiple=True, metavar="CIDR", help="Webhooks may go to this private network.")
@click.option("--log-format", type=click.Choice(["console", "json"]), default="console", show_default=True)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def local(
    paths: tuple[Path, ...],
    state_dir: Path,
    rtmp: tuple[str, int],
    http: tuple[str, int],
    tls_cert: Path | None,
    tls_key: Path | None,
    allow_loopback_webhooks: bool,
    allow_outbound: tuple[str, ...],
    log_format: str,
    verbose: bool,
) -> None:
    """Serve manifests on this machine: RTMP in, HLS out.

    PATH is a manifest file or a folder of them. Edits take effect as they are saved; what is removed is gone when it is
    still missing two seconds later. Stopped or killed, it goes on
    where it was when it is started again.
    """
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    try:
        networks = tuple(ip_network(text) for text in allow_outbound)
    except ValueError as error:
        raise click.UsageError(f"--allow-outbound: {error}") from error

    import uvloop

    from onair_core.logs import set_up_logs
    from onair_operator.local.app import Options, StartError, serve
    from onair_operator.local.banner import print_ready, report_problems
    from onair_operator.local.secrets import RootSecretError

    set_up_logs(log_format, verbose=verbose)
    options = Options(
        paths=paths,
        state_dir=state_dir,
        rtmp=rtmp,
        http=http,
        tls=(tls_cert, tls_key) if tls_cert and tls_key else None,
        allow_loopback=allow_loopback_webhooks,
        allow_networks=networks,
    )
    try:
        uvloop.run(serve(options, report=report_problems, ready=print_ready))
    except (StartError, RootSecretError) as error:
        raise click.ClickException(str(error)) from error
