"""`onair operator`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from onair_core.addresses import HostPort


def _labels(_context: click.Context, _parameter: click.Parameter, text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",") if part]
    if any(not name or not equals for name, equals, _ in pairs):
        raise click.BadParameter("has to be name=value,name=value")
    return {name: value for name, _, value in pairs}


class _Name(click.ParamType):  # type: ignore[type-arg]
    """Of a Kubernetes object: a DNS label or subdomain (RFC 1123)."""

    name = "name"

    def convert(self, value: str, parameter: click.Parameter | None, context: click.Context | None) -> str:
        for name in value.split(","):
            if name and re.fullmatch(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?", name) is None:
                self.fail(f"{name!r} cannot be the name of an object", parameter, context)
        return value


@click.command()
@click.option(
    "--image", envvar="ONAIR_IMAGE", required=True, help="Of ingest pods whose class names none: the operator's own."
)
@click.option(
    "--namespace",
    type=_Name(),
    envvar="POD_NAMESPACE",
    help="The installation's: root secret, Lease, Secrets of classes.",
)
@click.option(
    "--watch-namespace",
    "watch_namespaces",
    type=_Name(),
    multiple=True,
    envvar="ONAIR_WATCH_NAMESPACES",
    help="Only LiveStreams there; may be repeated. Without it: all namespaces.",
)
@click.option(
    "--pod-labels",
    envvar="ONAIR_POD_LABELS",
    default="app.kubernetes.io/name=onair,app.kubernetes.io/component=operator",
    show_default=True,
    callback=_labels,
    help="By which NetworkPolicies of ingest pods find the operator.",
)
@click.option(
    "--http",
    type=HostPort(),
    envvar="ONAIR_HTTP",
    default=":8080",
    show_default=True,
    help="/healthz, /readyz and /metrics.",
)
@click.option("--lease", type=_Name(), default="onair-operator", show_default=True, help="Whoever holds it leads.")
@click.option(
    "--root-secret", type=_Name(), default="onair-root", show_default=True, help="The Secret that all keys come from."
)
@click.option("--workers", type=click.IntRange(1, 200), default=20, show_default=True, help="LiveStreams at a time.")
@click.option(
    "--class-status/--no-class-status",
    default=True,
    help="Without it nothing is written to LiveStreamClasses, and no right to do so is needed.",
)
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Outside a cluster.")
@click.option("--context", help="Of the kubeconfig.")
@click.option("--log-format", type=click.Choice(["console", "json"]), default="json", show_default=True)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def operator(
    image: str,
    namespace: str | None,
    watch_namespaces: tuple[str, ...],
    pod_labels: dict[str, str],
    http: tuple[str, int],
    lease: str,
    root_secret: str,
    workers: int,
    class_status: bool,
    kubeconfig: Path | None,
    context: str | None,
    log_format: str,
    verbose: bool,
) -> None:
    """Turn LiveStreams into ingest pods: the operator of a cluster."""
    import uvloop

    from onair_core.logs import set_up_logs
    from onair_operator.lease import LeaseLost
    from onair_operator.main import Options, StartError, serve

    set_up_logs(log_format, verbose=verbose)
    options = Options(
        image=image,
        http=http,
        namespace=namespace,
        watch_namespaces=tuple(name for listed in watch_namespaces for name in listed.split(",") if name),
        pod_labels=pod_labels,
        lease=lease,
        root_secret=root_secret,
        workers=workers,
        class_status=class_status,
        kubeconfig=kubeconfig,
        context=context,
    )
    try:
        uvloop.run(serve(options))
    except (StartError, LeaseLost) as error:
        raise click.ClickException(str(error)) from error
