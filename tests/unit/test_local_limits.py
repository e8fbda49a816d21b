"""The limits of the publishers' port are those of the default class, and the CRD's defaults are the code's."""

from __future__ import annotations

from onair_core.manifests import LimitsSpec
from onair_media.ingest.deadlines import Deadlines
from onair_media.ingest.gate import AdmissionLimits
from onair_media.rtmp import Limits
from onair_operator.local.limits import port_limits


def test_without_a_word_in_the_class_the_limits_are_the_codes() -> None:
    assert port_limits(LimitsSpec()) == (Limits(), AdmissionLimits(), Deadlines())


def test_what_the_class_says_is_in_force() -> None:
    connection, port, deadlines = port_limits(
        LimitsSpec(
            max_message_bytes=1_000_000,
            max_connections=7,
            handshake_timeout_seconds=3,
            publish_timeout_seconds=4,
            media_timeout_seconds=60,
        )
    )
    assert connection.max_message == 1_000_000 and connection.max_buffered == 1_500_000
    assert port.connections == 7
    assert deadlines == Deadlines(handshake=3.0, publish=4.0, media=60.0)
