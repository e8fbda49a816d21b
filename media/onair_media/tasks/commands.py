"""`onair store`."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from onair_media.store import ObjectStore

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Place:
    """Which store, how to open it, and where else to tell what came of it."""

    url: str
    endpoint: str
    region: str
    credentials: Path | None
    message: Path | None

    def do(self, work: Callable[[ObjectStore], Coroutine[Any, Any, _T]], told: Callable[[_T], str]) -> None:
        """Does `work`, and says it in a sentence (`told`). Raises `click.ClickException`."""
        from onair_media.store import StoreError, mounted_credentials, open_store
        from onair_media.tasks.work import Refused

        given = mounted_credentials(self.credentials) if self.credentials else {}

        async def opened() -> _T:
            found = open_store(self.url, endpoint=self.endpoint, region=self.region, credentials=given)
            return await work(found)

        try:
            text = told(asyncio.run(opened()))
        except (StoreError, Refused, OSError) as error:
            self._tell(f"{self.url}: {error}")
            raise click.ClickException(f"{self.url}: {error}") from error
        self._tell(text)
        click.echo(text)

    def _tell(self, text: str) -> None:
        if self.message is not None:
            self.message.write_text(text + "\n", encoding="utf-8")


def _of_a_store(command: Callable[..., None]) -> Callable[..., None]:
    """Options that all of them have, as a `Place`."""

    @functools.wraps(command)
    def given(
        url: str, endpoint: str, region: str, credentials: Path | None, message: Path | None, **more: Any
    ) -> None:
        command(Place(url, endpoint, region, credentials, message), **more)

    folder, file = click.Path(file_okay=False, path_type=Path), click.Path(dir_okay=False, path_type=Path)
    for option in (
        click.option("--message", type=file, help="Write what came of it here, too."),
        click.option("--credentials", type=folder, help="A folder with a file for each."),
        click.option("--region", default="", help="Of the bucket."),
        click.option("--endpoint", default="", help="Of a server that speaks S3 and is not Amazon's."),
        click.argument("url"),
    ):
        option(given)
    return given


def _of_a_recording(command: Callable[..., None]) -> Callable[..., None]:
    click.option("--namespace", help="Only if it is a recording of this namespace.")(command)
    return click.argument("asset")(command)


@click.group()
def store() -> None:
    """Look after recordings in a store: check it, finish a recording, export or delete one.

    URL is file:///folder, s3://bucket/folder, gs://bucket/folder or az://container/folder. Credentials come from a
    folder with a file for each, or else from the environment (AWS_ACCESS_KEY_ID …).
    """


@store.command()
@_of_a_store
def check(place: Place) -> None:
    """Write, read, list and delete an object, as recordings do."""
    from onair_media.tasks import work

    place.do(work.check, lambda _: f"{place.url} can be recorded to.")


@store.command()
@_of_a_store
@_of_a_recording
def finish(place: Place, asset: str, namespace: str | None) -> None:
    """Make a recording whose pod is gone for good video on demand. Not one that is still being written."""
    from onair_media.tasks import work

    def told(found: work.Finished) -> str:
        lost = f", {found.damaged} of them cannot be read and are left out" if found.damaged else ""
        return f"{asset} is complete: {found.duration:.1f} s in {found.segments + found.damaged} segments{lost}."

    place.do(lambda opened: work.finish(opened, asset, namespace), told)


@store.command()
@_of_a_store
@_of_a_recording
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(place: Place, asset: str, namespace: str | None, yes: bool) -> None:
    """Delete everything of a recording."""
    from onair_media.tasks import work

    if not yes:
        click.confirm(f"Delete all data of {asset} in {place.url}?", abort=True)

    def told(count: int) -> str:
        return f"{asset} is deleted: {count} objects." if count else f"There is nothing of {asset}."

    place.do(lambda opened: work.delete(opened, asset, namespace), told)


@store.command()
@_of_a_store
@_of_a_recording
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(place: Place, asset: str, namespace: str | None, file: Path) -> None:
    """Write a recording to FILE as one MP4, without encoding anything anew; also one that is still being made."""
    from onair_media.tasks import export as work

    if not file.parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.parent}", param_hint="FILE")
    with click.progressbar(length=1, label=f"Exporting {asset}", file=sys.stderr, width=40) as bar:

        def begins(seconds: float) -> None:
            bar.length = max(int(seconds), 1)

        def told(found: work.Exported) -> str:
            return f"{file}: {found.duration:.1f} s, {found.size / 1e6:.1f} MB."

        def progress(seconds: float) -> None:
            bar.update(int(seconds) - bar.pos)

        place.do(
            lambda opened: work.export(opened, asset, file, namespace=namespace, begins=begins, progress=progress), told
        )
