"""Recordings: written segment by segment while live, played from the first segment on, plain HLS in the end.

`model` is what a recording consists of (pure), `recorder` writes it, `folder` reads it, `finishing` makes it plain
HLS; `view` plays it while it grows, `finished` when it has ended, and `library` has those that are played.
The format is documented in docs/store-format.md.
"""

from onair_media.recording.fence import TakenOverError
from onair_media.recording.finished import FinishedView
from onair_media.recording.finishing import finish_recording
from onair_media.recording.folder import (
    DamagedError,
    ResumePoint,
    UnknownFormatError,
    read_growing,
    read_recording,
    unfinished_recordings,
)
from onair_media.recording.library import AssetLibrary
from onair_media.recording.model import SEGMENTS_TO_PLAY, Origin, Recording, RecordingTime
from onair_media.recording.recorder import Recorder, RecorderListener
from onair_media.recording.view import RecordingView

__all__ = [
    "SEGMENTS_TO_PLAY",
    "AssetLibrary",
    "DamagedError",
    "FinishedView",
    "Origin",
    "Recorder",
    "RecorderListener",
    "Recording",
    "RecordingTime",
    "RecordingView",
    "ResumePoint",
    "TakenOverError",
    "UnknownFormatError",
    "finish_recording",
    "read_growing",
    "read_recording",
    "unfinished_recordings",
]
