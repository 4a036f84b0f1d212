"""WebSockets for Python, whole: an ASGI server whose WebSocket side is right and fast, a toolkit
for the applications behind it, or behind any other, and a hub of rooms that spans processes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longwire.errors import ConnectionClosed, LongwireError
    from longwire.hub import Hub
    from longwire.toolkit import (
        ClosedBy,
        Closure,
        Subprotocols,
        WebSocket,
        WebSocketClose,
        WebSocketDisconnect,
        WebSocketEndpoint,
        WebSocketRoute,
        WebSocketState,
        websocket_app,
    )

__version__ = "0.1.0"
__all__ = [
    "ClosedBy",
    "Closure",
    "ConnectionClosed",
    "Hub",
    "LongwireError",
    "Subprotocols",
    "WebSocket",
    "WebSocketClose",
    "WebSocketDisconnect",
    "WebSocketEndpoint",
    "WebSocketRoute",
    "WebSocketState",
    "__version__",
    "run",
    "websocket_app",
]

ELSEWHERE = {
    "ConnectionClosed": "longwire.errors",
    "Hub": "longwire.hub",
    "LongwireError": "longwire.errors",
}
"""Where the public names live that are not the toolkit's."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: the server alone starts without the toolkit."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(ELSEWHERE.get(name, "longwire.toolkit"))
    value = globals()[name] = getattr(module, name)
    return value


def run(app: Any, **options: Any) -> int:
    """Serve `app`, a callable or "module:attribute", until a signal; return the exit status.

    Options are those of `longwire serve` (longwire.server.config.Config). Raises ConfigError,
    AppImportError, BindError and StartupError.
    """
    from longwire.server.broker import joined
    from longwire.server.config import Config
    from longwire.server.environment import load_env_file
    from longwire.server.server import Server
    from longwire.server.supervisor import Supervisor

    load_env_file(options.get("env_file"))
    config = Config(app=app, **options)
    with joined(config) as said:
        if config.workers > 1 or config.reload:
            return Supervisor(config, said).run()
        return Server(config).run()
