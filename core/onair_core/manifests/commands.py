"""`onair validate`."""

from __future__ import annotations

import dataclasses
import json
import sys

import click
import yaml

from onair_core.manifests.claims import claim_problems
from onair_core.manifests.load import load
from onair_core.manifests.validate import validate as validate_documents


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="How problems are shown.",
)
def validate(paths: tuple[str, ...], output: str) -> None:
    """Check manifests as the API server would.

    PATH is a file, a folder, or - for standard input. Each problem is shown with file, line, field and reason; the exit
    status is 1 when there is one.
    """
    result = validate_documents(load(paths))
    problems = sorted([*result.problems, *claim_problems(result.manifests.values())])
    shown = [dataclasses.asdict(problem) for problem in problems]
    if output == "json":
        click.echo(json.dumps(shown, indent=2))
    elif output == "yaml":
        click.echo(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), nl=False)
    else:
        for problem in problems:
            click.echo(str(problem))
        for notice in result.skipped:
            click.echo(f"note: {notice}", err=True)
        valid = len(result.manifests)
        click.echo(f"{valid} valid, {len(problems)} problem{'' if len(problems) == 1 else 's'}", err=True)
    if problems:
        sys.exit(1)
