"""Every code block of the README and of docs/ runs; the README's chat chats."""

from __future__ import annotations

import re
import shutil
import types
from pathlib import Path
from typing import Any

import pytest

from longwire.toolkit.testing import TestClient
from tests.docs.pages import PAGES, blocks_of
from tests.docs.reader import READERS, reading

pytestmark = [pytest.mark.timeout(120)]  # a page is a server, programs, and a pytest one by one

NOT_RUN = {"how-to/deploy.md": ["there is no unit of that name"]}
"""The blocks that cannot run, by page, with the reason that stands in front of them."""

STARLETTES = """\
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
"""


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)])
def test_a_page_can_be_followed(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("node") is None and any(b.language in ("js", "html") for b in blocks_of(page)):
        pytest.skip("node is not installed: `apt-get install nodejs` lets these blocks run")
    served: list[Any] = []
    monkeypatch.setattr("longwire.run", lambda app, **options: served.append(app))
    with reading(page, tmp_path) as reader:
        reader.read()
    assert bool(served) is any("longwire.run(" in block.code for block in blocks_of(page))


def test_the_blocks_that_are_not_run_are_these() -> None:
    not_run = {
        page: reasons
        for page in PAGES
        if (reasons := [why for b in blocks_of(page) if (why := b.reason_not_to_run)])
    }
    assert not_run == NOT_RUN


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_its_language(page: str) -> None:
    for block in blocks_of(page):
        assert block.language in READERS, block.place
    text = re.sub(r"^```.*?^```$", "", PAGES[page].read_text("utf-8"), flags=re.M | re.S)
    assert not re.search(r"(?<=\n\n)    [^ *-]", text), "code that is only indented is not read"


@pytest.mark.parametrize("whose", ["longwire", "starlette"])
def test_the_readmes_chat_needs_no_more_lines_than_starlettes(whose: str) -> None:
    chat = blocks_of("README.md")[0].code
    ours = "from longwire import Hub, WebSocket, WebSocketRoute\n"
    theirs = chat.replace(ours, "from longwire import Hub\n" + STARLETTES)
    assert theirs != chat
    assert len(chat.splitlines()) <= len(theirs.splitlines())
    module = types.ModuleType("chat")
    exec(chat if whose == "longwire" else theirs, vars(module))
    with TestClient(vars(module)["app"]) as client:
        with client.websocket_connect("/chat") as alice:
            with client.websocket_connect("/chat") as bob:
                alice.send_text("hello")
                assert [alice.receive_text(), bob.receive_text()] == ["hello", "hello"]
            alice.send_text("alone")
            assert alice.receive_text() == "alone"
