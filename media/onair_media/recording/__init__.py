"""Recordings: written segment by segment while live, played from the first segment on, plain HLS in the end.

`model` is what a recording consists of (pure), `recorder` writes it, `folder` reads and finishes it, `view` plays it
while it grows, `finished` when it has ended, and `library` has those that are played.
The format is documented in docs/store-format.md.
"""

from onair_media.recording.finished import FinishedView
from onair_media.recording.folder import ResumePoint, finish_recording, read_recording
from onair_media.recording.library import AssetLibrary
from onair_media.recording.model import Origin, Recording
from onair_media.recording.recorder import Recorder, RecorderListener
from onair_media.recording.view import RecordingView

__all__ = [
    "AssetLibrary",
    "FinishedView",
    "Origin",
    "Recorder",
    "RecorderListener",
    "Recording",
    "RecordingView",
    "ResumePoint",
    "finish_recording",
    "read_recording",
]
