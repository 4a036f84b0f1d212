"""JSON as it goes over a WebSocket: the standard library's, msgspec's or orjson's.

A codec is chosen per class (`class Fast(WebSocket): codec = MsgspecCodec()`) or per route
(`WebSocketRoute(..., codec=MsgspecCodec())`). Both extra packages are imported when the codec is
made: an ImportError there, not at the first message.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from longwire.toolkit.messages import InvalidJSON, InvalidMessage, excerpt


class JSONCodec(Protocol):
    """Turns values into JSON text and back."""

    def encode(self, value: Any) -> str:
        """Return `value` as compact JSON; TypeError or ValueError if it has no JSON form."""

    def decode(self, data: str | bytes, type: Any) -> Any:
        """Return the value of JSON text or UTF-8 bytes, validated against `type` unless it is Any.

        Raises InvalidJSON and InvalidMessage; TypeError if the codec validates nothing.
        """


class StandardCodec:
    """The standard library's json; it validates no types."""

    def encode(self, value: Any) -> str:
        """Return `value` as compact JSON; TypeError or ValueError if it has no JSON form."""
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    def decode(self, data: str | bytes, type: Any = Any) -> Any:
        """Return the value; InvalidJSON, or TypeError if a type is asked for."""
        _refuse_type(self, type)
        try:
            return json.loads(data)
        except ValueError as error:  # JSONDecodeError, UnicodeDecodeError
            raise _invalid(data, error) from None
        except RecursionError as error:
            raise _invalid(data, ValueError("nested too deeply")) from error


class OrjsonCodec:
    """orjson: five to fifteen times faster than the standard library's; it validates no types."""

    def __init__(self) -> None:
        import orjson

        self._orjson = orjson

    def encode(self, value: Any) -> str:
        """Return `value` as compact JSON; TypeError if it has no JSON form."""
        return self._orjson.dumps(value).decode()

    def decode(self, data: str | bytes, type: Any = Any) -> Any:
        """Return the value; InvalidJSON, or TypeError if a type is asked for."""
        _refuse_type(self, type)
        try:
            return self._orjson.loads(data)
        except ValueError as error:
            raise _invalid(data, error) from None


class MsgspecCodec:
    """msgspec: fast, and validates: `receive_json(type=Move)` takes what Move's fields allow."""

    def __init__(self) -> None:
        import msgspec

        self._msgspec = msgspec
        self._encoder = msgspec.json.Encoder()
        self._decoders: dict[Any, Any] = {}

    def encode(self, value: Any) -> str:
        """Return `value` as compact JSON; TypeError if it has no JSON form."""
        return self._encoder.encode(value).decode()

    def decode(self, data: str | bytes, type: Any = Any) -> Any:
        """Return the value as `type`; InvalidJSON, InvalidMessage."""
        decoder = self._decoders.get(type)
        if decoder is None:  # as many as the application has types
            decoder = self._decoders[type] = self._msgspec.json.Decoder(type)
        try:
            return decoder.decode(data)
        except self._msgspec.ValidationError as error:
            raise InvalidMessage(
                f"expected {getattr(type, '__name__', type)}, got {excerpt(data)}: {error}"
            ) from None
        except (self._msgspec.DecodeError, ValueError, RecursionError) as error:
            raise _invalid(data, error) from None


def _refuse_type(codec: JSONCodec, type: Any) -> None:
    if type is not Any:
        raise TypeError(
            f"{codec.__class__.__name__} validates nothing, so it cannot check for {type!r}: "
            "choose MsgspecCodec, or leave type= out"
        )


def _invalid(data: str | bytes, error: Exception) -> InvalidJSON:
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    problem = getattr(error, "msg", None) or str(error)
    return InvalidJSON(
        f"expected JSON, got {excerpt(data)}: {problem}", text, getattr(error, "pos", 0)
    )


STANDARD = StandardCodec()
