"""An image that does not start takes down a part of a class, and what is mended heals by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from installation import Installation, Stream
from kubelab.kubectl import Kubectl
from kubelab.waiting import until

CLASS = "rolled-out"
NAMES = ("one", "two", "three", "four")


def declare(onair: Installation, **ingest: object) -> None:
    metadata = {"name": CLASS}
    onair.kubectl.apply(
        {
            "apiVersion": "onair.dev/v1alpha1",
            "kind": "LiveStreamClass",
            "metadata": metadata,
            "spec": {"ingest": ingest},
        }
    )


@pytest.fixture
def streams(kubectl: Kubectl, onair: Installation) -> Iterator[list[Stream]]:
    declare(onair)
    found = [Stream(kubectl, name) for name in NAMES]
    for stream in found:
        stream.declare(className=CLASS)
    for stream in found:
        stream.ready()
    yield found
    for stream in found:
        stream.delete()
    onair.kubectl.delete(f"livestreamclass/{CLASS}")


def test_a_broken_image_takes_down_a_quarter_and_the_next_one_heals_it(
    streams: list[Stream], onair: Installation
) -> None:
    before = {stream.name: stream.pods() for stream in streams}
    declare(onair, image="localhost/there-is-no-such-image:1", imagePullPolicy="Never")
    until("one is down", lambda: [s for s in streams if s.condition("Ready") == ("False", "ImagePullFailed")])
    waiting = [s for s in streams if s.condition("UpdatePending") == ("True", "RolloutLimited")]
    assert len(waiting) == 3 and all(s.condition("Ready")[0] == "True" for s in waiting)
    assert all(s.pods() == before[s.name] for s in waiting)

    declare(onair, pod={"annotations": {"mended": "yes"}})
    until("all have another pod", lambda: all(s.pods() != before[s.name] and len(s.pods()) == 1 for s in streams), 90)
    for stream in streams:
        stream.ready()
        assert stream.condition("UpdatePending") == ("False", "NothingPending")
