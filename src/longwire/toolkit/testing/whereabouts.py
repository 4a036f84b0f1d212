"""What a task was doing: the line it waits at, as a person would look for it."""

from __future__ import annotations

import asyncio
import linecache
import sysconfig
from pathlib import Path
from types import FrameType
from typing import Any

NOT_THE_APPLICATIONS = (
    str(Path(__file__).parent.parent.parent),  # Longwire
    sysconfig.get_path("stdlib"),
    sysconfig.get_path("purelib"),
)


def whereabouts(task: asyncio.Task[Any]) -> str:
    """Return "waiting in chat (app.py:12): await websocket.receive_text()", or how it ended."""
    if task.cancelled():
        return "cancelled"
    if task.done():
        error = task.exception()
        return "finished" if error is None else f"finished: it raised {error!r}"
    frames = _frames(task.get_coro())
    own = [
        frame for frame in frames if not frame.f_code.co_filename.startswith(NOT_THE_APPLICATIONS)
    ]
    if not frames:
        return "running"
    frame = (own or frames)[-1]
    name, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, line).strip()
    return f"waiting in {frame.f_code.co_qualname} ({Path(name).name}:{line}): {text}"


def _frames(awaited: Any) -> list[FrameType]:
    """Return the frames of a suspended coroutine, outermost first."""
    frames = []
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if isinstance(frame, FrameType):
            frames.append(frame)
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
    return frames
