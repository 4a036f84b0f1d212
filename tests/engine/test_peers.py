"""The engine against an independent one: the Sans-I/O protocol of the package websockets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State as PeerState
from websockets.uri import parse_uri

from longwire.engine import (
    Closed,
    Connection,
    DeflateSettings,
    Limits,
    Role,
    State,
    negotiate,
    parse_upgrade,
    upgrade_response,
)
from tests.engine.feeding import cut_at, cuts, feed, sent

messages = st.lists(st.one_of(st.text(max_size=300), st.binary(max_size=300)), max_size=6)


def connect(offer: ClientPerMessageDeflateFactory | None) -> tuple[Connection, ClientProtocol]:
    """Do the opening handshake; return our server and their client."""
    peer = ClientProtocol(
        parse_uri("ws://test/chat"),
        extensions=[offer] if offer else None,
        subprotocols=["other", "chat"],  # type: ignore[list-item]
        max_size=None,
    )
    request = peer.connect()
    peer.send_request(request)
    headers = [
        (name.lower().encode(), value.encode()) for name, value in request.headers.raw_items()
    ]
    upgrade = parse_upgrade("GET", "1.1", headers)
    assert upgrade.subprotocols == ["other", "chat"]
    agreed = negotiate(upgrade.extensions, DeflateSettings(threshold=0))
    assert (agreed is not None) == (offer is not None)
    answer, deflate = agreed or (None, None)
    peer.receive_data(upgrade_response(upgrade, subprotocol="chat", extension=answer))
    assert peer.state is PeerState.OPEN, peer.handshake_exc
    assert peer.subprotocol == "chat"
    peer.events_received()
    peer.data_to_send()
    return Connection(Role.SERVER, Limits(max_message_size=0), deflate), peer


offers = pytest.mark.parametrize(
    "offer",
    [
        None,
        ClientPerMessageDeflateFactory(),
        ClientPerMessageDeflateFactory(True, True, 9, 9),
        ClientPerMessageDeflateFactory(client_max_window_bits=None),
        ClientPerMessageDeflateFactory(server_max_window_bits=15, client_max_window_bits=10),
    ],
    ids=["plain", "deflate", "no takeover, 9 bits", "15 bits", "15 and 10 bits"],
)


@offers
@settings(max_examples=40)
@given(texts=messages, places=cuts)
def test_what_the_peer_sends_arrives(
    offer: ClientPerMessageDeflateFactory | None, texts: list[str | bytes], places: list[int]
) -> None:
    connection, peer = connect(offer)
    for message in texts:
        if isinstance(message, str):
            data, middle = message.encode(), len(message.encode()) // 2
            peer.send_text(data[:middle], fin=False)  # perhaps in the middle of a character
            peer.send_continuation(data[middle:], fin=True)
        else:
            peer.send_binary(message)
    peer.send_close(3001, "bye")
    wire = b"".join(peer.data_to_send())
    assert feed(connection, cut_at(wire, places)) == [*texts, Closed(3001, "bye")]
    peer.receive_data(sent(connection))
    peer.receive_eof()
    assert (peer.close_code, peer.close_reason) == (3001, "")
    assert connection.state is State.CLOSED


@offers
@settings(max_examples=40)
@given(texts=messages, places=cuts)
def test_what_we_send_arrives_at_the_peer(
    offer: ClientPerMessageDeflateFactory | None, texts: list[str | bytes], places: list[int]
) -> None:
    connection, peer = connect(offer)
    for message in texts:
        connection.send(message)
    connection.close(4000, "that was all")
    for read in cut_at(sent(connection), places):
        peer.receive_data(read)
    *frames, close = [event for event in peer.events_received() if isinstance(event, Frame)]
    assert [
        bytes(frame.data).decode() if frame.opcode is Opcode.TEXT else bytes(frame.data)
        for frame in frames
    ] == texts
    assert close.opcode is Opcode.CLOSE
    feed(connection, peer.data_to_send())
    peer.receive_eof()
    assert (peer.close_code, peer.close_reason) == (4000, "that was all")
    assert connection.state is State.CLOSED
