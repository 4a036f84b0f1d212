"""A message prepared for many: the peers of all kinds of connections get what was meant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwire.engine import (
    Connection,
    DeflateSettings,
    Pong,
    Prepared,
    Role,
    accept,
    negotiate,
    offer,
)
from longwire.errors import LocalProtocolError

MESSAGE = st.one_of(st.text(max_size=300), st.binary(max_size=300))


def pair(server: DeflateSettings | None, client: DeflateSettings) -> tuple[Connection, Connection]:
    """Return a server's and a client's end that have agreed on what these settings allow."""
    agreed = None if server is None else negotiate(offer(client), server)
    if agreed is None:
        return Connection(Role.SERVER), Connection(Role.CLIENT, masking_key=lambda: b"abcd")
    answer, deflate = agreed
    return (
        Connection(Role.SERVER, deflate=deflate),
        Connection(
            Role.CLIENT, deflate=accept(answer, client), masking_key=lambda: b"abcd"
        ),
    )  # fmt: skip


SETTINGS = st.builds(
    DeflateSettings,
    server_max_window_bits=st.integers(9, 15),
    server_no_context_takeover=st.booleans(),
    threshold=st.sampled_from((0, 40)),
)


@given(
    peers=st.lists(st.tuples(st.none() | SETTINGS, SETTINGS), min_size=1, max_size=5),
    messages=st.lists(st.tuples(st.booleans(), MESSAGE, st.booleans(), st.booleans()), max_size=12),
)
def test_all_receive_what_is_prepared_between_what_is_sent(
    peers: list[tuple[DeflateSettings | None, DeflateSettings]],
    messages: list[tuple[bool, str | bytes, bool, bool]],
) -> None:
    """Whether each leaves alone or several together, with pongs among them."""
    pairs = [pair(*settings) for settings in peers]
    received: list[list[Any]] = [[] for _ in pairs]
    for is_prepared, message, is_pinged, is_written in messages:
        prepared = Prepared(message) if is_prepared else None
        for (server, client), got in zip(pairs, received, strict=True):
            if prepared is None:
                server.send(message)
            else:
                server.send_prepared(prepared)
            if is_pinged:
                client.ping(b"p")
                server.receive_data(bytes(client.data_to_send()))
            if is_written:
                got += client.receive_data(bytes(server.data_to_send()))
    for (server, client), got in zip(pairs, received, strict=True):
        got += client.receive_data(bytes(server.data_to_send()))
        assert [event for event in got if not isinstance(event, Pong)] == [
            message for _, message, _, _ in messages
        ]
        assert sum(isinstance(event, Pong) for event in got) == sum(
            is_pinged for _, _, is_pinged, _ in messages
        )


def test_alone_it_leaves_as_it_is_and_is_changed_by_nothing_behind_it() -> None:
    message = Prepared("hello")
    server = Connection(Role.SERVER)
    server.send_prepared(message)
    assert server.data_to_send() is message.frame
    server.send_prepared(message)
    server.send("behind")
    assert bytes(server.data_to_send()) == message.frame + b"\x81\x06behind"
    assert message.frame == b"\x81\x05hello"


def test_none_is_no_message() -> None:
    with pytest.raises(TypeError, match="got None"):
        Connection(Role.SERVER).send_prepared(None)  # type: ignore[arg-type]


@given(MESSAGE)
def test_the_frame_is_the_one_that_send_writes(message: str | bytes) -> None:
    first, second = Connection(Role.SERVER), Connection(Role.SERVER)
    first.send(message)
    second.send_prepared(Prepared(message))
    assert second.data_to_send() == first.data_to_send()


def test_it_is_compressed_once_for_all_that_agreed_on_the_same() -> None:
    message = Prepared("the same words, the same words, the same words" * 10)
    servers = [pair(DeflateSettings(), DeflateSettings())[0] for _ in range(3)]
    frames = set()
    for server in servers:
        server.send_prepared(message)
        frames.add(bytes(server.data_to_send()))
    assert len(frames) == 1
    assert len(frames.pop()) < message.size / 4


def test_a_client_masks_it_with_a_key_of_its_own() -> None:
    client = Connection(Role.CLIENT, masking_key=lambda: b"abcd")
    server = Connection(Role.SERVER)
    client.send_prepared(Prepared("hello"))
    data = bytes(client.data_to_send())
    assert data[1] & 0x80
    assert server.receive_data(data) == ["hello"]


def test_nothing_is_sent_behind_a_close() -> None:
    server = Connection(Role.SERVER)
    server.close()
    with pytest.raises(LocalProtocolError):
        server.send_prepared(Prepared("late"))


@pytest.mark.parametrize("data", [None, 1, bytearray(b"x"), {"text": "x"}])
def test_a_message_is_text_or_bytes(data: Any) -> None:
    with pytest.raises(TypeError, match="str or bytes"):
        Prepared(data)


def test_a_lone_surrogate_cannot_be_prepared() -> None:
    with pytest.raises(UnicodeEncodeError):
        Prepared("\ud800")
