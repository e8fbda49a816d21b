"""What an encoder is told when the server ends its publish."""

from __future__ import annotations

from onair_core.contract import DisconnectReason

# NetStream status code and description.
_FAREWELLS = {
    DisconnectReason.DISABLED: ("NetStream.Publish.Denied", "The stream was disabled."),
    DisconnectReason.KEY_RESET: ("NetStream.Publish.BadName", "The stream key was reset."),
    DisconnectReason.DELETED: ("NetStream.Publish.BadName", "The stream was deleted."),
    DisconnectReason.REPLACED: ("NetStream.Publish.BadName", "Another encoder has taken over."),
    DisconnectReason.COMPLETED: ("NetStream.Unpublish.Success", "The broadcast is complete."),
    DisconnectReason.INTERNAL_ERROR: ("NetStream.Publish.Failed", "The server met an error of its own."),
    DisconnectReason.UNSUPPORTED_VIDEO_CODEC: ("NetStream.Publish.Failed", "The video codec is not supported."),
    DisconnectReason.UNSUPPORTED_AUDIO_CODEC: ("NetStream.Publish.Failed", "The audio codec is not supported."),
    DisconnectReason.INGEST_BITRATE_EXCEEDED: ("NetStream.Publish.Failed", "The bitrate is higher than permitted."),
    DisconnectReason.WINDOW_TOO_LARGE: ("NetStream.Publish.Failed", "The stream needs more memory than permitted."),
    DisconnectReason.TOO_MANY_DISCONTINUITIES: ("NetStream.Publish.Failed", "The stream is interrupted too often."),
}
_OTHERWISE = ("NetStream.Unpublish.Success", "The broadcast has ended.")


def farewell(reason: DisconnectReason, message: str = "") -> tuple[str, str]:
    """NetStream status code and description. `message`: what is known better than what `reason` alone says."""
    code, description = _FAREWELLS.get(reason, _OTHERWISE)
    return code, message or description
