"""The table of legal ASGI messages, walked."""

from __future__ import annotations

from typing import Any

import pytest

from longwire.errors import LifecycleError
from longwire.lifecycle import State, after_receive, after_send, message_data

ACCEPT = {"type": "websocket.accept"}
SEND = {"type": "websocket.send", "text": ""}
CLOSE = {"type": "websocket.close"}
START = {"type": "websocket.http.response.start"}
BODY = {"type": "websocket.http.response.body"}
MORE = {**BODY, "more_body": True}


@pytest.mark.parametrize(
    ("messages", "state"),
    [
        ([ACCEPT, SEND, SEND, CLOSE], State.CLOSED),
        ([CLOSE], State.CLOSED),
        ([START], State.DENYING),
        ([START, MORE, MORE], State.DENYING),
        ([START, MORE, BODY], State.CLOSED),
    ],
)
def test_legal_orders(messages: list[dict[str, Any]], state: State) -> None:
    now = State.CONNECTING
    for message in messages:
        now = after_send(now, message)
    assert now is state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (State.CONNECTING, SEND),
        (State.CONNECTING, BODY),
        (State.OPEN, ACCEPT),
        (State.OPEN, START),
        (State.DENYING, CLOSE),
        (State.CLOSED, SEND),
        (State.OPEN, {}),
        (State.OPEN, {"type": 1}),
        (State.OPEN, "websocket.send"),
    ],
)
def test_illegal_messages(state: State, message: Any) -> None:
    with pytest.raises(LifecycleError):
        after_send(state, message)


def test_what_is_heard() -> None:
    state = State.CONNECTING
    for kind in ("connect", "receive", "receive", "disconnect", "disconnect"):
        state = after_receive(state, {"type": f"websocket.{kind}"})
    assert state is State.CLOSED
    with pytest.raises(LifecycleError):
        after_receive(State.CONNECTING, {"type": "websocket.receive"})


def test_message_data() -> None:
    assert message_data({"text": ""}) == ""
    assert message_data({"text": None, "bytes": b""}) == b""
    assert message_data({"bytes": bytearray(b"a")}) == b"a"
