"""Waiting for something to settle that tells nobody when it does: buffers, counters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def stable(figure: Callable[[], T]) -> T:
    """Return the figure once it has stayed the same for 300 ms."""
    last, same = figure(), 0
    while same < 6:
        await asyncio.sleep(0.05)
        same = same + 1 if figure() == last else 0
        last = figure()
    return last
