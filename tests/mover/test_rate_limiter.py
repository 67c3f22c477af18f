# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The rate limit, with a clock of its own."""

from __future__ import annotations

from bareos_vmsnap.mover.child.rate_limiter import RateLimiter


class Clock:
    """Goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def seconds(rate: int, sizes: list[int], idle: float = 0.0) -> float:
    clock = Clock()
    rate_limiter = RateLimiter(rate, clock, clock.sleep)
    clock.now += idle
    for size in sizes:
        rate_limiter.wait(size)
    return clock.now - idle


def test_many_pieces_take_as_long_as_the_rate_says() -> None:
    assert 9.5 <= seconds(1_000_000, [100_000] * 100) <= 10.0
    assert 9.5 <= seconds(1_000_000, [1_000, 199_000] * 50) <= 10.0


def test_a_pause_is_not_made_up_for() -> None:
    assert 9.5 <= seconds(1_000_000, [100_000] * 100, idle=3600) <= 10.0


def test_without_a_limit_nobody_waits() -> None:
    assert seconds(0, [10**12] * 10) == 0
