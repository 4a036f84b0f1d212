"""What the pages about authentication say, asked of their own code."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longwire import WebSocketDisconnect, WebSocketRoute
from longwire.toolkit import Token
from longwire.toolkit.testing import Denied, TestClient
from tests.docs.pages import blocks_of, write_files


@pytest.fixture
def import_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that returns a module of a page, as it is at the page's end."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(page: str, module: str) -> Any:
        write_files(page, tmp_path)
        return __import__(module)

    yield load
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(f"{tmp_path}/"):
            del sys.modules[name]


def test_the_tutorials_token_may_be_the_first_message(import_page: Any) -> None:
    app = import_page("tutorial/authentication.md", "app").app
    with TestClient(app) as client:
        with client.websocket_connect("/ws") as bob:
            bob.send_text("token-of-bob")
            bob.send_text("hello")
            assert bob.receive_text() == "bob: hello"
        with client.websocket_connect("/ws") as stranger:
            stranger.send_text("guessed")
            with pytest.raises(WebSocketDisconnect) as closed:
                stranger.receive_text()
            assert closed.value.code == 1008
        elsewhere = {"Origin": "https://elsewhere.example"}
        with pytest.raises(Denied) as denied:
            client.websocket_connect("/ws", headers=elsewhere).__enter__()
        assert denied.value.status_code == 403


def test_each_source_lets_ada_in_and_a_page_sees_4401(import_page: Any) -> None:
    app = import_page("how-to/authentication.md", "app").app
    secret = "secret-of-ada"
    ways: list[dict[str, Any]] = [
        {"headers": {"Authorization": f"Bearer {secret}"}},
        {"cookies": {"session": secret}},
        {"subprotocols": ["bearer", secret]},
    ]
    for way in ways:
        with TestClient(app) as client, client.websocket_connect("/chat", **way) as websocket:
            assert websocket.receive_text() == "hello ada"
    with TestClient(app) as client, client.websocket_connect("/chat") as websocket:
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_text()
        assert closed.value.code == 4401


@pytest.mark.parametrize(("room", "code"), [("lobby", None), ("vault", 4403)])
def test_a_room_is_for_those_who_may_enter(import_page: Any, room: str, code: int | None) -> None:
    token: Token[Any] = import_page("how-to/authentication.md", "app").token
    (block,) = (b for b in blocks_of("how-to/authentication.md") if "may_enter" in b.code)
    module = types.ModuleType("block")
    exec(block.code, vars(module))
    guards = [token, vars(module)["may_enter"]]
    route = WebSocketRoute("/{room}", vars(module)["room"], guards=guards)
    headers = {"Authorization": "Bearer secret-of-ada"}
    with TestClient(route) as client:
        with client.websocket_connect(f"/{room}", headers=headers) as websocket:
            if code is None:
                websocket.send_text("hello")
                assert websocket.receive_text() == "hello"
            else:
                with pytest.raises(WebSocketDisconnect) as closed:
                    websocket.receive_text()
                assert closed.value.code == code


@pytest.mark.parametrize(
    ("page", "path", "bearer", "greets"),
    [
        ("how-to/authentication.md", "/chat", "token-of-ada", True),
        ("how-to/from-starlette.md", "/chat/lobby", "sesame", False),
    ],
)
def test_fastapi_has_the_same_guards(
    import_page: Any, page: str, path: str, bearer: str, greets: bool
) -> None:
    app = import_page(page, "fastapi_app").app
    with TestClient(app) as client:
        headers = {"Authorization": f"Bearer {bearer}"}
        with client.websocket_connect(path, headers=headers) as websocket:
            if not greets:
                websocket.send_text("hello ada")
            assert websocket.receive_text() == "hello ada"
        with pytest.raises(Denied) as denied:
            client.websocket_connect(path).__enter__()
        assert denied.value.status_code == 401


def test_what_comes_after_does_what_was_there_before(import_page: Any) -> None:
    headers = {"Authorization": "Bearer sesame"}
    for name in ("before", "after"):
        app = import_page("how-to/from-starlette.md", name).app
        with TestClient(app) as client:
            with client.websocket_connect("/chat", headers=headers) as ada:
                ada.send_text("one")
                assert ada.receive_text() == "one"
                with client.websocket_connect("/chat", headers=headers) as bob:
                    bob.send_text("two")
                    assert [bob.receive_text(), ada.receive_text()] == ["two", "two"]
