# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What can be wrong with a segment."""

from __future__ import annotations

from bareos_vmsnap.errors import VmsnapError


class SegmentError(VmsnapError):
    """A stream cannot be used as a segment."""


class SegmentTooNewError(SegmentError):
    """The segment looks intact, but has a later format version."""

    id = "segment-too-new"

    def __init__(self, version: int, supported: int):
        super().__init__(
            f"segment has format version {version}, this program reads up to version {supported}:"
            " a newer bareos-vmsnap is needed"
        )
        self.version = version


class SegmentDamagedError(SegmentError):
    """The stream is not what was written; `position` is the offset in it, in bytes."""

    def __init__(self, position: int, problem: str):
        super().__init__(f"segment damaged at byte {position}: {problem}")
        self.position = position
        self.problem = problem


class NotASegmentError(SegmentDamagedError):
    """The magic number is missing."""

    id = "segment-no-magic"


class HeaderDamagedError(SegmentDamagedError):
    """The header does not match its check or breaks a rule."""

    id = "segment-header"


class FrameDamagedError(SegmentDamagedError):
    """A frame head does not match its check or breaks a rule."""

    id = "segment-frame"


class FrameOutOfSequenceError(SegmentDamagedError):
    """A frame was lost, repeated or moved."""

    id = "segment-sequence"


class FrameOutOfBoundsError(SegmentDamagedError):
    """A frame reaches beyond the capacity or is larger than a chunk."""

    id = "segment-bounds"


class FrameOverlapError(SegmentDamagedError):
    """A frame overlaps an earlier one, or comes too late for that to be checked."""

    id = "segment-overlap"


class PayloadDamagedError(SegmentDamagedError):
    """A frame's data does not match its checksums."""

    id = "segment-payload"


class TrailerDamagedError(SegmentDamagedError):
    """The trailer does not match its check or the frames before it."""

    id = "segment-trailer"


class TruncatedError(SegmentDamagedError):
    """The stream ends before the trailer does."""

    id = "segment-truncated"


class TrailingGarbageError(SegmentDamagedError):
    """The stream goes on after the trailer."""

    id = "segment-trailing"
