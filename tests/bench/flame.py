# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Flame graphs as SVG: each frame as wide as the samples in it, callers below."""

from __future__ import annotations

from collections import Counter
from html import escape

_WIDTH, _ROW, _MARGIN = 1200, 17, 24
_LEAST = 0.5  # pixels; narrower frames are left out
_LETTER = 6.5  # pixels
_COLOURS = ("#e8793a", "#eb9246", "#eeaa55", "#e6683c", "#f0bd62")


def svg(stacks: Counter[tuple[str, ...]], title: str) -> str:
    """A picture of counted stacks, outermost frame first."""
    total = sum(stacks.values())
    depth = max((len(stack) for stack in stacks), default=0) + 1
    height = depth * _ROW + 2 * _MARGIN
    boxes: list[str] = []
    _draw(boxes, stacks, 0, 0.0, _WIDTH / max(1, total), height - _MARGIN - _ROW)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="monospace" font-size="11">'
    )
    name = f'<text x="{_WIDTH // 2}" y="16" text-anchor="middle">{escape(title)}</text>'
    return "\n".join([head, name, *boxes, "</svg>", ""])


def _draw(
    boxes: list[str],
    stacks: Counter[tuple[str, ...]],
    level: int,
    left: float,
    scale: float,
    bottom: float,
) -> None:
    """The frames at one level and, above each, what it called."""
    groups: dict[str, Counter[tuple[str, ...]]] = {}
    for stack, count in stacks.items():
        if len(stack) > level:
            groups.setdefault(stack[level], Counter())[stack] += count
    for frame in sorted(groups):
        width = sum(groups[frame].values()) * scale
        if width >= _LEAST:
            boxes.append(_box(frame, left, bottom, width, round(width / scale), level))
            _draw(boxes, groups[frame], level + 1, left, scale, bottom - _ROW)
        left += width


def _box(frame: str, left: float, bottom: float, width: float, samples: int, level: int) -> str:
    colour = _COLOURS[(sum(map(ord, frame)) + level) % len(_COLOURS)]
    letters = int(width / _LETTER)
    text = frame if len(frame) <= letters else frame[: letters - 1] + "…" if letters > 3 else ""
    return (
        f"<g><title>{escape(frame)}: {samples} samples</title>"
        f'<rect x="{left:.1f}" y="{bottom:.0f}" width="{width:.1f}" height="{_ROW - 1}"'
        f' fill="{colour}"/>'
        f'<text x="{left + 2:.1f}" y="{bottom + 12:.0f}">{escape(text)}</text></g>'
    )
