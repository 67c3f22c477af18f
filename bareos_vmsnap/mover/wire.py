# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How the client sends the plan to the mover (standard library only).

On the plan pipe: the length of the JSON text (32 bits, little-endian), the text, then the extents
as pairs of 64-bit little-endian integers (start, length), ended by the pair (0, 0) and the end of
the stream.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from bareos_vmsnap import dataclass_json
from bareos_vmsnap.mover.plan import Plan

LENGTH = struct.Struct("<I")
PAIR = struct.Struct("<QQ")
END = PAIR.pack(0, 0)
MAX_PLAN = 16 << 20

_BATCH = 4096


def pack(plan: Plan, extents: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """Yield the bytes of a plan piece by piece, without empty extents.

    Raises TypeError or ValueError if the plan is not JSON or the extents are not unsigned 64-bit
    integers.
    """
    text = json.dumps(dataclass_json.encode(plan)).encode()
    if len(text) > MAX_PLAN:
        raise ValueError(f"plan of {len(text)} bytes, at most {MAX_PLAN} are allowed")
    yield LENGTH.pack(len(text)) + text
    pairs = (pair for pair in extents if pair[1])
    while True:
        batch = list(islice(pairs, _BATCH))
        if not batch:
            break
        try:
            yield struct.pack(f"<{2 * len(batch)}Q", *chain.from_iterable(batch))
        except struct.error as error:
            raise ValueError(
                f"extent is not a pair of unsigned 64-bit integers: {error}"
            ) from error
    yield END
