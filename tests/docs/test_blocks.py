"""Every Python block of the README and of docs/ runs; the README's chat chats."""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any

import pytest

from longwire.toolkit.testing import TestClient

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall(page.read_text("utf-8")), 1)
]

STARLETTES = """\
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
"""


def run(block: str) -> dict[str, Any]:
    """Execute a block as the module it would be; servers it starts are only noted."""
    module = types.ModuleType("block")
    exec(compile(block, "block", "exec"), module.__dict__)
    return module.__dict__


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr("longwire.run", lambda app, **options: served.append(app))
    for name, value in run(block).items():
        if name.startswith("test_"):
            value()
    assert bool(served) is ("longwire.run(" in block)


@pytest.mark.parametrize("whose", ["longwire", "starlette"])
def test_the_readmes_chat_needs_no_more_lines_than_starlettes(whose: str) -> None:
    chat = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))[0]
    theirs = chat.replace("from longwire import WebSocket, WebSocketRoute\n", STARLETTES)
    assert theirs != chat
    assert len(chat.splitlines()) <= len(theirs.splitlines())
    with TestClient(run(chat if whose == "longwire" else theirs)["app"]) as client:
        with client.websocket_connect("/chat") as alice:
            with client.websocket_connect("/chat") as bob:
                alice.send_text("hello")
                assert [alice.receive_text(), bob.receive_text()] == ["hello", "hello"]
            alice.send_text("alone")
            assert alice.receive_text() == "alone"
