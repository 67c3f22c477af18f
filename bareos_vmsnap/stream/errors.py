# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What can be wrong with a segment. `kind` is a stable word for reports."""

from __future__ import annotations


class SegmentError(Exception):
    """A stream cannot be used as a segment."""

    kind = "segment"


class SegmentTooNew(SegmentError):
    """The segment is whole as far as can be seen, but of a later format version."""

    kind = "segment-too-new"

    def __init__(self, version: int, supported: int):
        super().__init__(
            f"segment has format version {version}, this program reads up to version {supported}:"
            " a newer bareos-vmsnap is needed"
        )
        self.version = version


class SegmentDamaged(SegmentError):
    """The stream is not what was written; `position` is the offset in it, in bytes."""

    kind = "segment-damaged"

    def __init__(self, position: int, problem: str):
        super().__init__(f"segment damaged at byte {position}: {problem}")
        self.position = position
        self.problem = problem


class NotASegment(SegmentDamaged):
    """The magic number is missing."""

    kind = "segment-no-magic"


class HeaderDamaged(SegmentDamaged):
    """The header does not match its check or breaks a rule."""

    kind = "segment-header"


class FrameDamaged(SegmentDamaged):
    """A frame head does not match its check or breaks a rule."""

    kind = "segment-frame"


class FrameOutOfSequence(SegmentDamaged):
    """A frame was lost, repeated or moved."""

    kind = "segment-sequence"


class FrameOutOfBounds(SegmentDamaged):
    """A frame reaches beyond the capacity or is larger than a chunk."""

    kind = "segment-bounds"


class FrameOverlap(SegmentDamaged):
    """A frame covers bytes that an earlier one has, or comes too late to be told apart."""

    kind = "segment-overlap"


class PayloadDamaged(SegmentDamaged):
    """A frame's data does not match its checksums."""

    kind = "segment-payload"


class TrailerDamaged(SegmentDamaged):
    """The trailer does not match its check or the frames before it."""

    kind = "segment-trailer"


class Truncated(SegmentDamaged):
    """The stream ends before the trailer does."""

    kind = "segment-truncated"


class TrailingGarbage(SegmentDamaged):
    """The stream goes on after the trailer."""

    kind = "segment-trailing"
