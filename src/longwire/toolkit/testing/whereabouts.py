"""What a task or a thread was doing: the line it is at, as a person would look for it."""

from __future__ import annotations

import asyncio
import linecache
import sys
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
    return f"waiting in {_place(frames)}" if frames else "running"


def thread_whereabouts(thread: int) -> str:
    """Return "in chat (app.py:12): time.sleep(60)" for a thread's identifier."""
    frames: list[FrameType] = []
    frame = sys._current_frames().get(thread)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return f"in {_place(frames[::-1])}" if frames else "at its end"


def _place(frames: list[FrameType]) -> str:
    """Return the innermost place that is the application's own, of frames with outermost first."""
    own = [
        frame for frame in frames if not frame.f_code.co_filename.startswith(NOT_THE_APPLICATIONS)
    ]
    frame = (own or frames)[-1]
    name, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, line).strip()
    return f"{frame.f_code.co_qualname} ({Path(name).name}:{line}): {text}"


def _frames(awaited: Any) -> list[FrameType]:
    """Return the frames of a suspended coroutine, outermost first."""
    frames = []
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if isinstance(frame, FrameType):
            frames.append(frame)
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
    return frames
