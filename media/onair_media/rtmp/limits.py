"""What one connection may cost, checked when a header is parsed and before memory is taken.

Until a publish is accepted nobody knows who is there, and nothing that is said needs much room or work: those limits
are small, and absolute rather than rates, so that the whole cost of an unknown connection is bounded. With a good key
the larger ones come into force, in the same read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, unless the name says otherwise. The names are the reasons that metrics count by.

    Rates are averages; `burst_seconds` worth of them may come at once.
    """

    # The chunk layer.
    min_chunk_size: int = 128
    """With chunks of one byte a peer makes the server work 20 times as much as it sends."""
    max_chunk_streams: int = 64
    """Encoders use five or six; each costs memory from its first header on."""

    # Before a publish is accepted.
    unaccepted_message: int = 256 * KIB
    """The largest command seen, a tcUrl of 60 KB included, is a quarter of it."""
    unaccepted_buffered: int = 512 * KIB
    """A message and what came behind it in the same read."""
    unaccepted_bytes: int = MIB
    """An encoder says less than 10 KB before it publishes; what follows in the same read counts too."""
    unaccepted_messages: int = 500
    """An encoder says about ten."""

    # While it publishes.
    max_message: int = 16 * MIB
    """All that a message's header can announce: a key frame of 8K video has been seen with 4 MB."""
    max_buffered: int = 24 * MIB
    """The largest message and half of another; taken only as bytes arrive."""
    messages_per_second: int = 5000
    """Four tracks of 60 frames and sound are 500, a file sent 50 times as fast as it plays is 5000. More waits in the
    socket: the work for one connection is bounded, however small its messages are."""
    messages_at_once: int = 500
    """Then all others have their turn: a tenth of a second of the rate above, a few milliseconds of work."""

    # Commands and control.
    max_command: int = 256 * KIB
    """Metadata with a table of keyframes is the longest."""
    max_name: int = 2 * KIB
    """Application and stream key, with the tokens that services put behind them."""
    max_amf_depth: int = 32
    """Metadata nests three deep; a decoder that recurses must end somewhere."""
    max_amf_values: int = 20_000
    """In one message: a table of keyframes has some thousands."""
    amf_values_per_second: int = 10_000
    """About 1 µs each; a message beyond it is dropped."""
    amf_values_of_any_command: int = 100
    """So many a command may have even then: metadata must not cost an encoder its goodbye."""
    commands_per_second: int = 50
    controls_per_second: int = 50
    """Set Chunk Size, pings, acknowledgements: an encoder sends one in a second at most."""
    burst_seconds: float = 2.0
    max_streams_created: int = 16
    """An encoder needs one."""

    # What it is told.
    max_output: int = 128 * KIB
    """Answers of one turn: all of them are short."""
    max_unsent: int = 256 * KIB
    """What a peer that never reads may leave in our memory."""

    def before_publish(self) -> Limits:
        """The limits of the chunk layer until a publish is accepted."""
        return replace(
            self,
            max_message=min(self.unaccepted_message, self.max_message),
            max_buffered=min(self.unaccepted_buffered, self.max_buffered),
        )
