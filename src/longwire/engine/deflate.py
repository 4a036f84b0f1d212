"""permessage-deflate (RFC 7692): its negotiation, and the two streams of one connection.

- Both sides have windows of their own; a window and its state are made when first used, so an
  idle connection pays nothing for what it agreed upon.
- Inflating never makes more than the message limit allows, whatever the ratio.
- An offer with a parameter that is unknown, repeated or out of range is declined, and the next
  one is tried (section 5.1); it is not an error.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from longwire.engine.codes import MESSAGE_TOO_BIG, PROTOCOL_ERROR
from longwire.engine.headers import Extension, parse_extensions
from longwire.errors import HandshakeError, LocalProtocolError, RemoteProtocolError

NAME = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"
"""What a flushed block ends with; it is not sent (RFC 7692 section 7.2.1)."""

MAX_WINDOW_BITS = 15
MIN_WINDOW_BITS = 9
"""zlib refuses raw streams with windows of 8 bits, which RFC 7692 allows: they are declined."""

INFLATE_STEP = 64 * 1024
"""Bytes inflated at a time, or as many as came in, if these are more."""

SERVER_NO_CONTEXT = "server_no_context_takeover"
CLIENT_NO_CONTEXT = "client_no_context_takeover"
SERVER_BITS = "server_max_window_bits"
CLIENT_BITS = "client_max_window_bits"


@dataclass(frozen=True, slots=True)
class DeflateSettings:
    """What this side wants of permessage-deflate.

    Windows are in bits (9 to 15): 12 bits and memory level 5 take 32 KiB a connection, 15 and 8
    take 90. `threshold` is in bytes of payload; a shorter message goes as it is.
    """

    server_max_window_bits: int = 12
    client_max_window_bits: int = 12
    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    level: int = 6
    memory_level: int = 5
    threshold: int = 128

    def __post_init__(self) -> None:
        for name, value, low, high in (
            (SERVER_BITS, self.server_max_window_bits, MIN_WINDOW_BITS, MAX_WINDOW_BITS),
            (CLIENT_BITS, self.client_max_window_bits, MIN_WINDOW_BITS, MAX_WINDOW_BITS),
            ("level", self.level, 0, 9),
            ("memory_level", self.memory_level, 1, 9),
        ):
            if not low <= value <= high:
                raise LocalProtocolError(f"{name} is {low} to {high}; got {value}")


@dataclass(frozen=True, slots=True)
class Parameters:
    """The four parameters, as offered or as agreed; a window of 0 bits was not named."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 0
    client_max_window_bits: int = 0
    is_client_window_open: bool = False  # client_max_window_bits without a value


class Deflate:
    """The compressor and the decompressor of one connection."""

    __slots__ = (
        "_compressor",
        "_decompressor",
        "compress_bits",
        "inflate_bits",
        "is_compressor_fresh",
        "is_decompressor_fresh",
        "settings",
        "threshold",
        "variant",
    )

    def __init__(
        self,
        settings: DeflateSettings,
        compress_bits: int,
        inflate_bits: int,
        is_compressor_fresh: bool,
        is_decompressor_fresh: bool,
    ) -> None:
        """`*_fresh`: without context takeover, every message begins with an empty window."""
        self.settings = settings
        self.compress_bits = compress_bits
        self.inflate_bits = inflate_bits
        self.is_compressor_fresh = is_compressor_fresh
        self.is_decompressor_fresh = is_decompressor_fresh
        self._compressor: zlib._Compress | None = None
        self._decompressor: zlib._Decompress | None = None
        self.threshold = settings.threshold
        # What decides how a message is compressed that begins with an empty window.
        self.variant = compress_bits, settings.level, settings.memory_level

    def compress(self, payload: bytes) -> bytes:
        """Return the payload of a compressed message (RFC 7692 section 7.2.1)."""
        if not payload:
            return b"\x00"  # section 7.2.3.6
        compressor = self._compressor or self._new_compressor()
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        self._compressor = None if self.is_compressor_fresh else compressor
        return data[: -len(TAIL)]

    def compress_alone(self, payload: bytes) -> bytes:
        """Return the payload compressed without what came before: good for any connection."""
        if not payload:
            return b"\x00"
        compressor = self._new_compressor()
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return data[: -len(TAIL)]

    def forget(self) -> None:
        """Begin with an empty window: the peer has inflated what this compressor has not seen."""
        self._compressor = None

    def _new_compressor(self) -> zlib._Compress:
        settings = self.settings
        return zlib.compressobj(
            settings.level, zlib.DEFLATED, -self.compress_bits, settings.memory_level
        )

    def inflate(self, chunk: bytes, message: bytearray, limit: int) -> None:
        """Inflate a part of a message's payload, and add it to `message`.

        Raises RemoteProtocolError: 1009 once `message` would exceed `limit` bytes (0: no limit),
        1002 for what is not a deflate stream.
        """
        if self._decompressor is None:
            self._decompressor = zlib.decompressobj(-self.inflate_bits)
        decompressor = self._decompressor
        data = chunk
        # Not less than there is to read: each step copies what it leaves of the input.
        full_step = max(INFLATE_STEP, len(chunk))
        is_more = True
        while is_more:
            step = min(limit - len(message) + 1, full_step) if limit else full_step
            try:
                inflated = decompressor.decompress(data, step)
            except zlib.error as error:
                raise RemoteProtocolError(PROTOCOL_ERROR, f"compressed message: {error}") from None
            message += inflated
            if limit and len(message) > limit:
                raise RemoteProtocolError(
                    MESSAGE_TOO_BIG, f"message over the limit of {limit} bytes when inflated"
                )
            data = decompressor.unconsumed_tail
            is_more = bool(data) or len(inflated) == step
        if decompressor.eof and decompressor.unused_data not in (b"", b"\x00"):
            # A final block may end a message, with the 0x00 of an empty block behind it (section
            # 7.2.3.4). More is legal deflate nobody sends, and a way to make each byte cost a new
            # stream, or be kept by zlib beyond all limits.
            raise RemoteProtocolError(PROTOCOL_ERROR, "compressed data behind its final block")

    def end_inflating(self, message: bytearray, limit: int) -> None:
        """Inflate what is left at the end of a message; raises as inflate() does."""
        decompressor = self._decompressor
        if decompressor is None or not decompressor.eof:
            self.inflate(TAIL, message, limit)
            decompressor = self._decompressor
        if self.is_decompressor_fresh or (decompressor is not None and decompressor.eof):
            self._decompressor = None


def negotiate(offers: str, settings: DeflateSettings) -> tuple[str, Deflate] | None:
    """Answer a client's Sec-WebSocket-Extensions: the header's value, and the streams agreed on.

    Returns None if no offer of permessage-deflate can be accepted.
    """
    for extension in _parse(offers):
        parameters = _read_parameters(extension, is_offer=True)
        if parameters is not None:
            agreed = _agree(parameters, settings)
            if agreed is not None:
                return _format(agreed), _server_side(agreed, settings)
    return None


def offer(settings: DeflateSettings) -> str:
    """Return a client's offer, for its Sec-WebSocket-Extensions header."""
    return _format(
        Parameters(
            settings.server_no_context_takeover,
            settings.client_no_context_takeover,
            settings.server_max_window_bits if settings.server_max_window_bits < 15 else 0,
            settings.client_max_window_bits if settings.client_max_window_bits < 15 else 0,
            is_client_window_open=True,
        )
    )


def accept(answer: str, settings: DeflateSettings) -> Deflate | None:
    """Take a server's answer to offer(); HandshakeError if it is none that we can live with."""
    extensions = _parse(answer)
    if not extensions and not answer.strip():
        return None
    if len(extensions) != 1 or extensions[0].name != NAME:
        raise HandshakeError(400, f"the server chose extensions nobody offered: {answer}")
    agreed = _read_parameters(extensions[0], is_offer=False)
    if agreed is None or (
        agreed.server_max_window_bits > settings.server_max_window_bits
        or (settings.server_no_context_takeover and not agreed.server_no_context_takeover)
    ):
        raise HandshakeError(400, f"the server's answer is not what was offered: {answer}")
    client_bits = settings.client_max_window_bits
    if agreed.client_max_window_bits:
        client_bits = min(client_bits, agreed.client_max_window_bits)
    if client_bits < MIN_WINDOW_BITS:
        raise HandshakeError(400, f"the server wants a window that zlib has not: {answer}")
    return Deflate(
        settings,
        compress_bits=client_bits,
        inflate_bits=agreed.server_max_window_bits or MAX_WINDOW_BITS,
        is_compressor_fresh=agreed.client_no_context_takeover
        or settings.client_no_context_takeover,
        is_decompressor_fresh=agreed.server_no_context_takeover,
    )


def _parse(value: str) -> list[Extension]:
    try:
        return parse_extensions(value)
    except ValueError:
        return []  # a header that cannot be read offers nothing


def _read_parameters(extension: Extension, is_offer: bool) -> Parameters | None:
    """Return the parameters of an offer or an answer, None if it is invalid (section 7.1)."""
    if extension.name != NAME:
        return None
    found: dict[str, str | None] = {}
    for name, value in extension.parameters:
        if name in found:
            return None
        found[name] = value
    bits = {SERVER_BITS: 0, CLIENT_BITS: 0}
    for name, value in found.items():
        if name in (SERVER_NO_CONTEXT, CLIENT_NO_CONTEXT):
            if value is not None:
                return None
        elif name in bits:
            if value is None:
                if name == SERVER_BITS or not is_offer:
                    return None
            elif (number := _window_bits(value)) is not None:
                bits[name] = number
            else:
                return None
        else:
            return None
    return Parameters(
        SERVER_NO_CONTEXT in found,
        CLIENT_NO_CONTEXT in found,
        bits[SERVER_BITS],
        bits[CLIENT_BITS],
        CLIENT_BITS in found,
    )


def _window_bits(value: str) -> int | None:
    """Return 8 to 15, from decimal digits without leading zeros (section 7.1.2)."""
    if value in ("8", "9", "10", "11", "12", "13", "14", "15"):
        return int(value)
    return None


def _agree(offered: Parameters, settings: DeflateSettings) -> Parameters | None:
    """Return what a server answers to a valid offer, None to decline it."""
    server_bits = settings.server_max_window_bits
    if offered.server_max_window_bits:
        server_bits = min(server_bits, offered.server_max_window_bits)
    client_bits = settings.client_max_window_bits
    if offered.client_max_window_bits:
        client_bits = min(client_bits, offered.client_max_window_bits)
    if server_bits < MIN_WINDOW_BITS or client_bits < MIN_WINDOW_BITS:
        return None
    if not offered.is_client_window_open:
        client_bits = 0  # section 7.1.2.2: may not be answered; the client's window is 15 bits
    return Parameters(
        offered.server_no_context_takeover or settings.server_no_context_takeover,
        offered.client_no_context_takeover or settings.client_no_context_takeover,
        server_bits if server_bits < MAX_WINDOW_BITS or offered.server_max_window_bits else 0,
        client_bits if client_bits < MAX_WINDOW_BITS or offered.client_max_window_bits else 0,
    )


def _server_side(agreed: Parameters, settings: DeflateSettings) -> Deflate:
    return Deflate(
        settings,
        compress_bits=agreed.server_max_window_bits or MAX_WINDOW_BITS,
        inflate_bits=agreed.client_max_window_bits or MAX_WINDOW_BITS,
        is_compressor_fresh=agreed.server_no_context_takeover,
        is_decompressor_fresh=agreed.client_no_context_takeover,
    )


def _format(parameters: Parameters) -> str:
    return "; ".join((NAME, *_parameter_texts(parameters)))


def _parameter_texts(parameters: Parameters) -> Iterable[str]:
    if parameters.server_no_context_takeover:
        yield SERVER_NO_CONTEXT
    if parameters.client_no_context_takeover:
        yield CLIENT_NO_CONTEXT
    if parameters.server_max_window_bits:
        yield f"{SERVER_BITS}={parameters.server_max_window_bits}"
    if parameters.client_max_window_bits:
        yield f"{CLIENT_BITS}={parameters.client_max_window_bits}"
    elif parameters.is_client_window_open:
        yield CLIENT_BITS
