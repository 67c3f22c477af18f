# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What can be wrong with a segment. `kind` is a stable word for reports."""

from __future__ import annotations


class SegmentError(Exception):
    """A stream cannot be used as a segment."""

    kind = "segment"


class SegmentTooNewError(SegmentError):
    """The segment is whole as far as can be seen, but of a later format version."""

    kind = "segment-too-new"

    def __init__(self, version: int, supported: int):
        super().__init__(
            f"segment has format version {version}, this program reads up to version {supported}:"
            " a newer bareos-vmsnap is needed"
        )
        self.version = version


class SegmentDamagedError(SegmentError):
    """The stream is not what was written; `position` is the offset in it, in bytes."""

    kind = "segment-damaged"

    def __init__(self, position: int, problem: str):
        super().__init__(f"segment damaged at byte {position}: {problem}")
        self.position = position
        self.problem = problem


class NotASegmentError(SegmentDamagedError):
    """The magic number is missing."""

    kind = "segment-no-magic"


class HeaderDamagedError(SegmentDamagedError):
    """The header does not match its check or breaks a rule."""

    kind = "segment-header"


class FrameDamagedError(SegmentDamagedError):
    """A frame head does not match its check or breaks a rule."""

    kind = "segment-frame"


class FrameOutOfSequenceError(SegmentDamagedError):
    """A frame was lost, repeated or moved."""

    kind = "segment-sequence"


class FrameOutOfBoundsError(SegmentDamagedError):
    """A frame reaches beyond the capacity or is larger than a chunk."""

    kind = "segment-bounds"


class FrameOverlapError(SegmentDamagedError):
    """A frame covers bytes that an earlier one has, or comes too late to be told apart."""

    kind = "segment-overlap"


class PayloadDamagedError(SegmentDamagedError):
    """A frame's data does not match its checksums."""

    kind = "segment-payload"


class TrailerDamagedError(SegmentDamagedError):
    """The trailer does not match its check or the frames before it."""

    kind = "segment-trailer"


class TruncatedError(SegmentDamagedError):
    """The stream ends before the trailer does."""

    kind = "segment-truncated"


class TrailingGarbageError(SegmentDamagedError):
    """The stream goes on after the trailer."""

    kind = "segment-trailing"
