"""Every error that Longwire raises, one tree; each names the guilty side.

LongwireError
├── ProtocolError
│   ├── LocalProtocolError    we were asked to send what RFC 6455 forbids (also a ValueError)
│   └── RemoteProtocolError   the peer sent what RFC 6455 forbids
├── HandshakeError            the opening handshake is refused with an HTTP status
├── LifecycleError            the application broke the ASGI message order (also a RuntimeError)
├── ConnectionClosed          send() after the end of the connection (also an OSError)
│   └── toolkit.WebSocketDisconnect   the same from receive and send of the WebSocket class
├── toolkit.Refusal           a guard refuses the handshake (also a starlette HTTPException)
├── toolkit.UnexpectedMessage, InvalidJSON, InvalidMessage   what the client sent is not it
├── ConfigError               an option that cannot work (also a ValueError)
│   ├── AppImportError        the application does not import
│   └── BindError             the address cannot be listened on
├── HubError
│   ├── InvalidRoom           no name of a room, or of a user (also a ValueError)
│   ├── InvalidPosition       no position (also a ValueError)
│   ├── MessageTooLarge       a message over the hub's limit (also a ValueError)
│   ├── HubClosed             the hub was closed
│   └── BrokerError           the broker does not answer, or refuses (also a ConnectionError)
├── DocumentError             what a collaborative document cannot do, or will not have
│   ├── MalformedMessage      a message that breaks Yjs' wire format (also a ValueError)
│   ├── LimitExceeded         an update, a document or a state over its limit (also a ValueError)
│   ├── InvalidOperation      an operation in JSON that cannot be applied (also a ValueError)
│   ├── InvalidName           no name of a document (also a ValueError)
│   ├── ReadOnly              somebody wrote who may only read
│   ├── StoreError            the store failed: what was not stored is not acknowledged
│   ├── TooManyDocuments      this process has as many open as it may
│   └── DocumentsClosed       the documents of this process were closed
├── StartupError              the application's lifespan start-up failed
└── WorkerError               a worker process ended before it was ready
    └── WorkerTimeout         it was given up, as its start-up did not end
"""

from __future__ import annotations

from collections.abc import Sequence


class LongwireError(Exception):
    """The root of the tree: catches every error of Longwire and no other."""


class ProtocolError(LongwireError):
    """RFC 6455 or RFC 7692 was broken."""


class LocalProtocolError(ProtocolError, ValueError):
    """This side asked for something that may not go on the wire."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol.

    `code` is the close code it deserves (RFC 6455 section 7.4.1): 1002, 1007 or 1009.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class HandshakeError(LongwireError):
    """The opening handshake cannot succeed (RFC 6455 section 4).

    `status` is the HTTP status of the refusal, `headers` what that status demands beside it
    (Allow for 405, Sec-WebSocket-Version for 426), the message says what was wrong.
    """

    def __init__(
        self, status: int, reason: str, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


class LifecycleError(LongwireError, RuntimeError):
    """The application sent an ASGI message that its state does not allow, or a malformed one."""


class ConnectionClosed(LongwireError, OSError):
    """The connection has ended: `code` and `reason` as in the `websocket.disconnect` event.

    An OSError, as ASGI 2.4 demands of a server's send(), so that applications may catch either.
    """

    def __init__(self, code: int = 1006, reason: str = "") -> None:
        super().__init__(f"connection closed with code {code}" + (f": {reason}" if reason else ""))
        self.code = code
        self.reason = reason


class ConfigError(LongwireError, ValueError):
    """An option, or a set of options, that cannot work; the message is one line for a person."""

    exit_status = 2


class AppImportError(ConfigError):
    """The application named on the command line does not import."""

    exit_status = 1


class BindError(ConfigError):
    """The address cannot be listened on."""

    exit_status = 1


class HubError(LongwireError):
    """A hub cannot do what it was asked for."""


class InvalidRoom(HubError, ValueError):
    """What was given is no name of a room, or of a user."""


class InvalidPosition(HubError, ValueError):
    """What was given is no position in a room's history."""


class MessageTooLarge(HubError, ValueError):
    """A message, or the info of a client, is over the hub's limit."""


class HubClosed(HubError):
    """The hub was closed, and takes nothing more."""


class BrokerError(HubError, ConnectionError):
    """The broker does not answer, or refuses: the message names its address, no credentials."""


class DocumentError(LongwireError):
    """A collaborative document cannot do what it was asked for."""


class MalformedMessage(DocumentError, ValueError):
    """A message, or an update in it, breaks Yjs' wire format; the editor is closed with 1007."""


class LimitExceeded(DocumentError, ValueError):
    """An update, a document or an awareness state is over its limit; closed with 1009."""


class InvalidOperation(DocumentError, ValueError):
    """An operation in JSON cannot be applied; its editor is told so, and goes on."""


class InvalidName(DocumentError, ValueError):
    """What was given is no name of a document."""


class ReadOnly(DocumentError):
    """Somebody wrote who may only read; closed with 1008."""


class StoreError(DocumentError):
    """The store failed: what was not stored is not acknowledged; closed with 1013."""


class TooManyDocuments(DocumentError):
    """This process has as many documents open as it may; closed with 1013."""


class DocumentsClosed(DocumentError):
    """The documents of this process were closed."""


class StartupError(LongwireError):
    """The application's lifespan start-up failed; nothing is served."""

    exit_status = 3


class WorkerError(LongwireError):
    """A worker process ended before it was ready; `exit_status` is its own."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class WorkerTimeout(WorkerError):
    """A worker process was not ready in time; it has said nothing of that itself."""
