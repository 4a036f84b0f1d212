"""What is a room, a user, a position, a key, an info, a message; and what is none of them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from longwire.errors import HubError, InvalidPosition, InvalidRoom, MessageTooLarge
from longwire.hub import Hub, Position
from longwire.hub.names import check_room, room_of_user
from tests.hub.connections import FakeConnection, until

pytestmark = pytest.mark.anyio

SURROGATE = "\ud800"
NO_NAMES = ["", " ", "a b", "a\n", "\0", "\u2028", "\u00a0", SURROGATE, "x" * 201, "ü" * 101]
NAMES = ["lobby", "Lobby", "chat:1", "x" * 200, "ü" * 100, "雑談", "a@b", "{}", "*", ">", "a.b"]


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    assert check_room(name) == name
    assert room_of_user(name) == "@" + name


@pytest.mark.parametrize("name", [*NO_NAMES, None, 17, b"lobby", ["lobby"]])
def test_what_is_no_name(name: Any) -> None:
    with pytest.raises(InvalidRoom) as error:
        check_room(name)
    assert len(str(error.value)) < 1200  # a stranger's name does not fill the log
    with pytest.raises(InvalidRoom):
        room_of_user(name)


def test_a_users_room_is_nobody_elses() -> None:
    with pytest.raises(InvalidRoom):
        check_room("@alice")


@given(st.text())
@example("a b")
def test_a_name_is_printable_and_bounded(name: str) -> None:
    try:
        check_room(name)
    except InvalidRoom:
        return
    assert name.isprintable()
    assert not set(name) & set(" \n\t")
    assert 0 < len(name.encode()) <= 200


epochs = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)


@given(st.integers(0, 10**19 - 1), epochs)
def test_positions_come_back(offset: int, epoch: str) -> None:
    position = Position(offset, epoch)
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize(
    "text",
    ["", ":", "1", "1:", ":a", "-1:a", "+1:a", "1.0:a", "1 :a", "1:a b", "1:ä", "١:a", "1:a\n",
     "1" * 20 + ":a", "1:" + "a" * 65, "x" * 10**6, SURROGATE],
)  # fmt: skip
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(InvalidPosition) as error:
        Position.parse(text)
    assert len(str(error.value)) < 1200


@given(st.text())
def test_a_position_or_an_error(text: str) -> None:
    with contextlib.suppress(InvalidPosition):
        assert Position.parse(text).epoch


@pytest.mark.parametrize("since", ["", "x", 17, 1.5, ["1:a"], {"offset": 1}, True, b"1:a"])
async def test_a_position_from_a_client_is_checked_whatever_it_is(since: Any) -> None:
    """What JSON holds where a position should be is given on as it came."""
    async with Hub() as hub, hub.connect(FakeConnection()) as member:
        await hub.publish("lobby", "x")
        with pytest.raises(InvalidPosition):
            await member.join("lobby", since=since)
        with pytest.raises(InvalidPosition):
            await hub.history("lobby", since=since)
        with pytest.raises(InvalidPosition):
            async with hub.subscribe("lobby", since=since):
                pass
        assert not member.rooms
        assert hub.members("lobby") == []


@pytest.mark.parametrize(
    ("info", "error"),
    [
        ("x" * 4100, MessageTooLarge),
        ("ü" * 2100, MessageTooLarge),
        ({1, 2}, TypeError),
        (float("nan"), ValueError),
        (SURROGATE, ValueError),
        ([SURROGATE], ValueError),
    ],
)
async def test_an_info_that_cannot_be_told(info: Any, error: type[Exception]) -> None:
    async with Hub() as hub, hub.connect(FakeConnection()) as member:
        with pytest.raises(error):
            await member.join("lobby", info=info)
        assert hub.members("lobby") == []
        await member.join("lobby", info="x" * 4094)


@pytest.mark.parametrize("key", ["", "k" * 201, SURROGATE, 17, b"k"])
async def test_a_key_that_is_none(key: Any) -> None:
    async with Hub() as hub:
        with pytest.raises(ValueError):  # noqa: PT011
            await hub.publish("lobby", "x", key=key)
        with pytest.raises(ValueError):  # noqa: PT011
            await hub.send_to_user("alice", "x", key=key)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("x" * 101, MessageTooLarge),
        (b"x" * 101, MessageTooLarge),
        ("ü" * 51, MessageTooLarge),
        ({"text": "x" * 100}, MessageTooLarge),
        (SURROGATE, UnicodeEncodeError),
        ([SURROGATE], UnicodeEncodeError),
        ({1}, TypeError),
        (bytearray(b"x"), TypeError),
        (float("inf"), ValueError),
    ],
)
async def test_a_message_that_cannot_be_sent(message: Any, error: type[Exception]) -> None:
    hub = Hub(max_message_size=100)
    async with hub, hub.connect(FakeConnection()) as member:
        await member.join("lobby")
        for send in (
            hub.publish("lobby", message),
            hub.send_to_user("alice", message),
            member.send(message),
        ):
            with pytest.raises(error):
                await send
        assert hub.counters.published == hub.counters.delivered == 0
        await hub.publish("lobby", "x" * 100)  # and it goes on


@pytest.mark.parametrize("encoded", [None, 17, {"a": 1}, bytearray(b"x"), memoryview(b"x")])
async def test_an_encoder_returns_str_or_bytes(encoded: Any) -> None:
    async with Hub(encode=lambda message: encoded) as hub:
        with pytest.raises(TypeError):
            await hub.publish("lobby", {"a": 1})


@pytest.mark.parametrize("limit", [-1, -100])
async def test_a_limit_that_is_none(limit: int) -> None:
    async with Hub() as hub:
        with pytest.raises(ValueError, match="limit"):
            await hub.history("lobby", limit=limit)


async def test_a_user_that_is_none() -> None:
    async with Hub() as hub:
        for user in ("", "a b", 17):
            with pytest.raises(InvalidRoom):
                hub.connect(FakeConnection(), user=user)  # type: ignore[arg-type]
            with pytest.raises(HubError):
                await hub.send_to_user(user, "x")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            hub.connect(object())


@pytest.mark.parametrize(
    ("reason", "carried"), [("x" * 124, "x" * 123), ("ü" * 62, "ü" * 61), ("bye", "bye")]
)
async def test_a_reason_is_cut_to_what_a_close_frame_carries(reason: str, carried: str) -> None:
    """125 bytes, two of them the code (RFC 6455 section 5.5). Some servers fail on more."""
    own, told = FakeConnection(), FakeConnection()
    async with Hub() as hub, hub.connect(own) as first, hub.connect(told, user="alice"):
        await first.close(4000, reason)
        await hub.disconnect_user("alice", 4001, reason)
        await until(lambda: own.closed and told.closed)
    assert (own.closed, told.closed) == ((4000, carried), (4001, carried))


async def test_a_reason_that_is_no_text() -> None:
    async with Hub() as hub, hub.connect(FakeConnection(), user="alice") as member:
        with pytest.raises(UnicodeEncodeError):
            await hub.disconnect_user("alice", 4000, SURROGATE)
        with pytest.raises(UnicodeEncodeError):
            await member.close(4000, SURROGATE)
        assert hub.counts().members == 1


@pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 2999, 5000, "1000", None])
async def test_a_code_that_no_close_frame_carries(code: Any) -> None:
    async with Hub() as hub, hub.connect(FakeConnection(), user="alice") as member:
        with pytest.raises(ValueError, match="close code"):
            await hub.disconnect_user("alice", code)
        with pytest.raises(ValueError, match="close code"):
            await member.close(code)
