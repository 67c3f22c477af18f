# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Draws docs/images/code-map.svg from the imports as they are: python -m tests.structure.code_map"""

from __future__ import annotations

from .imports import PRODUCT, REPOSITORY, folded, graph
from .layers import GROUND, LAYERS

PICTURE = REPOSITORY / "docs" / "images" / "code-map.svg"
SUBJECTS = {
    "cli": "the command vmsnap",
    "fd": "Bareos' face: jobs, options, log",
    "rebuild": "disks from segment files",
    "target": "where a restore goes",
    "mover": "the data plane, a process",
    "relocation_block": "no Storage vMotion, a process",
    "vsphere": "pyVmomi: VMs, snapshots, CBT",
    "transport": "a disk becomes an NBD server",
    "tree": "block tree, plans (pure)",
    "stream": "the segment container (pure)",
    "processes": "pipes, locks, starting",
}
_WIDTH, _HEIGHT, _GAP, _ROW = 190, 46, 18, 120
_FLOORS = (
    ("cli",),
    ("fd", "rebuild"),
    ("target", "mover", "relocation_block"),
    ("vsphere", "transport"),
    ("tree", "stream", "processes"),
)


def svg() -> str:
    """The picture: a row for each floor, arrows from who imports to what is imported."""
    found = folded(graph(PRODUCT), 2)
    places = _places()
    width = max(x for x, _ in places.values()) + _WIDTH + _GAP
    height = len(_FLOORS) * _ROW + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" text-anchor="middle">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto"><path d="M0 0 8 4 0 8z" fill="#789"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for folder in LAYERS:
        for name in sorted(found[f"{PRODUCT.name}.{folder}"]):
            target = name.partition(".")[2]
            if target in LAYERS:
                lines.append(_arrow(places[folder], places[target]))
    for folder, (x, y) in places.items():
        middle = x + _WIDTH / 2
        lines += [
            f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="#eef3f8"'
            ' stroke="#456"/>',
            f'<text x="{middle}" y="{y + 19}" font-size="14" font-weight="bold">{folder}/</text>',
            f'<text x="{middle}" y="{y + 36}" font-size="11">{SUBJECTS[folder]}</text>',
        ]
    ground = "ground floor, for all: " + ", ".join(f"{name}.py" for name in GROUND)
    lines.append(f'<text x="{width / 2}" y="{height - 14}" font-size="12">{ground}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _places() -> dict[str, tuple[float, float]]:
    widest = max(map(len, _FLOORS)) * (_WIDTH + _GAP)
    places: dict[str, tuple[float, float]] = {}
    for row, folders in enumerate(_FLOORS):
        room = widest / len(folders)
        for column, folder in enumerate(folders):
            x = _GAP + column * room + (room - _GAP - _WIDTH) / 2
            places[folder] = (round(x, 1), _GAP + row * _ROW)
    return places


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    if y1 == y2:  # neighbours on one floor
        left = x2 < x1
        points = (x1 if left else x1 + _WIDTH, y1 + 23, x2 + _WIDTH if left else x2, y2 + 23)
    else:
        # Spread over the edges of the boxes, so that arrows can be told apart.
        slant = max(-0.4, min(0.4, (x2 - x1) / 1200))
        points = (
            *(x1 + _WIDTH * (0.5 + slant), y1 + _HEIGHT),
            *(x2 + _WIDTH * (0.5 - slant), y2),
        )
    a, b, c, d = (round(point, 1) for point in points)
    return f'<line x1="{a}" y1="{b}" x2="{c}" y2="{d}" stroke="#789" marker-end="url(#tip)"/>'


if __name__ == "__main__":
    PICTURE.write_text(svg())
