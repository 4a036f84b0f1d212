"""What docs/hub.md and the pages about the hub say, asked of their own code."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longwire import WebSocketDisconnect
from longwire.errors import MessageTooLarge
from longwire.hub import Hub, Member, RoomOptions
from longwire.toolkit.testing import TestClient
from tests import django_settings
from tests.docs.pages import PAGES, blocks_of, write_files
from tests.docs.reader import NODE, node
from tests.process import PATIENCE, running

CUT = """\
import asyncio
from chat import app as chat
from longwire import WebSocket


async def app(scope, receive, send):
    if scope["type"] != "websocket" or scope["path"] != "/cut":
        return await chat(scope, receive, send)
    websocket = WebSocket(scope, receive, send)
    await websocket.accept()
    hub = websocket.state.hub
    for member in hub.members("lobby"):
        await member.close(1012)
    while hub.members("lobby"):
        await asyncio.sleep(0.01)
    for number in range(3):
        await hub.publish("lobby", f"missed {number}")
"""
"""The page's application, and a path that cuts all off, and speaks while nobody is there."""

WATCH = """\
let seen = 0, joins = 0;
globalThis.show = (text) => {
  console.log(text);
  if (++seen === 1) new WebSocket(`ws://${location.host}/cut`);
  if (seen === 4) process.exit(0);
};
const other = new WebSocket(`ws://${location.host}/chat`);
other.onmessage = ({ data }) => {
  if (JSON.parse(data).type === "join" && ++joins === 2) other.send("first");
};
"""
"""A page that shows what it is told to; another client speaks once both are in the room."""


@pytest.fixture
def names(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What the block that has the test's word in it defines."""
    page, word = request.param
    (block,) = (block for block in blocks_of(page) if word in block.code)
    module = types.ModuleType("block")
    sys.modules["block"] = module
    exec(compile(block.code, block.place, "exec"), vars(module))
    yield vars(module)
    del sys.modules["block"]


def block(page: str, word: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("names", [(page, word)], indirect=True, ids=[word])


@pytest.mark.parametrize(
    ("names", "app"),
    [
        (("hub.md", "fastapi_app ="), "fastapi_app"),
        (("hub.md", "litestar_app ="), "litestar_app"),
    ],
    indirect=["names"],
)
def test_other_frameworks_have_rooms(names: dict[str, Any], app: str) -> None:
    with TestClient(names[app]) as client:
        with client.websocket_connect("/chat/a") as ada, client.websocket_connect("/chat/b") as bob:
            for websocket, text in ((bob, "in b"), (ada, "in a")):
                websocket.send_text(text)
                assert websocket.receive_text() == text
        assert names["hub"].counts().rooms == 0


@block("hub.md", "channels_app =")
def test_channels_has_a_room(names: dict[str, Any]) -> None:
    django_settings.configure()
    with TestClient(names["channels_app"]) as client:
        with client.websocket_connect("/") as ada:
            ada.send_text("hello")
            assert ada.receive_text() == "hello"
        assert names["hub"].counts().members == 0


@block("hub.md", "board:7")
def test_a_member_joins_and_leaves(
    names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from longwire import websocket_app

    with TestClient(websocket_app(names["board"])) as client:
        with client.websocket_connect("/") as ada:
            assert ada.receive_json() == {"hello": "Ada"}
            ada.send_text("one")
            assert ada.receive_text() == "one"
            ada.send_text("leave")
            ada.send_text("two")
            with pytest.raises(TimeoutError):
                ada.receive_text(timeout=0.1)
    assert capsys.readouterr().out.startswith("stands at 0:")


@block("hub.md", "log_out")
def test_a_user_is_logged_out(names: dict[str, Any]) -> None:
    from longwire import WebSocket, websocket_app

    async def device(websocket: WebSocket) -> None:
        if "user" in websocket.query_params:
            await names["device"](websocket)
        else:
            await websocket.accept()
            await names["notify"]("ada", "your time is up")
            await websocket.receive()
            await names["log_out"]("ada")

    with TestClient(websocket_app(device)) as client:
        with (
            client.websocket_connect("/?user=ada") as phone,
            client.websocket_connect("/?user=bob") as other,
        ):
            with client.websocket_connect("/"):
                notice = {"type": "notice", "text": "your time is up"}
                assert phone.receive_json() == notice
            with pytest.raises(WebSocketDisconnect) as closed:
                phone.receive_text()
            assert (closed.value.code, closed.value.reason) == (4001, "logged out")
            with pytest.raises(TimeoutError):
                other.receive_text(timeout=0.1)


@block("hub.md", "questions")
def test_questions_have_answers(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    async def send(message: Any) -> None: ...

    async def main() -> None:
        async with Hub() as hub, hub.connect(send, user="ada") as ada:
            await ada.join("lobby", info="here")
            await hub.publish("lobby", "hello")
            await names["questions"](hub)

    asyncio.run(main())
    printed = capsys.readouterr().out
    for expected in ("ada here", "ada 0", "hello", "True", "Counts(members=1, users=1, rooms=1)"):
        assert expected in printed


@block("hub.md", "archive")
def test_the_application_listens(names: dict[str, Any]) -> None:
    async def main() -> None:
        lines: list[str] = []
        async with Hub() as hub:
            listening = asyncio.create_task(names["archive"](hub, lines))
            while not hub.counts().rooms:
                await asyncio.sleep(0)
            await hub.publish("lobby", "one")
            await hub.publish("lobby", "two")
        await listening  # the hub's end is the iterator's
        assert lines == ["one", "two"]

    asyncio.run(main())


@block("hub.md", "tick")
def test_the_latest_of_each_key_is_kept(names: dict[str, Any]) -> None:
    sent: list[str] = []
    go_on = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message["text"])
        await go_on.wait()

    async def main() -> None:
        hub: Hub = names["hub"]
        async with hub.connect(send, outbox=names["LATEST"]) as member:
            await member.join("prices")
            await names["tick"]("EUR", 1)
            await asyncio.sleep(0)  # the writer has it, and waits
            await names["tick"]("EUR", 2)
            await names["tick"]("USD", 3)
            await names["tick"]("EUR", 4)
            go_on.set()
        assert member.dropped == 1

    asyncio.run(main())
    assert [text.count(pair) for text, pair in zip(sent, ("EUR", "USD", "EUR"), strict=True)]
    assert sent[-1] == '{"pair":"EUR","price":4}'


@block("hub.md", '"cursor"')
def test_options_go_by_the_part_before_the_colon(names: dict[str, Any]) -> None:
    hub: Hub = names["hub"]

    async def main() -> None:
        async with hub:
            assert await hub.publish("cursor:7", "x") is None
            assert await hub.publish("cursors", "x") is not None
            with pytest.raises(MessageTooLarge):
                await hub.publish("chat:1", b"x" * (256 * 1024 + 1))

    asyncio.run(main())


def test_the_bounds_are_those_of_the_page() -> None:
    page = PAGES["hub.md"].read_text("utf-8")
    options = RoomOptions()
    assert f"| `history_size` | {options.history_size} |" in page
    assert f"| `history_seconds` | {options.history_seconds:g} |" in page
    assert f"| `on_gap` | `{options.on_gap.name}` |" in page
    for name in ("history_size", "history_seconds", "presence", "on_gap"):
        assert f"| `{name}` |" in page
    for name in ("id", "user", "rooms", "dropped", "join", "leave", "send", "take", "close"):
        assert hasattr(Member, name)
        assert name in page


def test_every_metric_is_in_the_table() -> None:
    page = PAGES["hub.md"].read_text("utf-8")
    table = {
        line.split("`")[1]: line.split("|")[2].strip()
        for line in page.splitlines()
        if line.startswith("| `longwire_hub_")
    }
    suffix = {"counter": "_total", "gauge": ""}
    made = {name + suffix[kind]: kind for kind, name, _, _ in Hub().metrics()}
    assert table == made


def test_a_client_comes_back_and_has_missed_nothing(tmp_path: Path) -> None:
    """The page's own script, against the page's own application, cut off while others speak."""
    write_files("hub.md", tmp_path)
    (tmp_path / "cut.py").write_text(CUT, "utf-8")
    (script,) = (block for block in blocks_of("hub.md") if block.title == "resume.js")
    (tmp_path / "resume.mjs").write_text(NODE + WATCH + script.code, "utf-8")
    with running("cut:app", "--port=0", cwd=tmp_path) as server:
        done = subprocess.run(
            [node(), "--no-warnings", "--experimental-websocket", "resume.mjs", server.url],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
    assert done.stdout.splitlines() == ["first", "missed 0", "missed 1", "missed 2"]
