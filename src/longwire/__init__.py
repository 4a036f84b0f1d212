"""WebSockets for Python, whole: an ASGI server whose WebSocket side is right and fast."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "run"]


def run(app: Any, **options: Any) -> int:
    """Serve `app`, a callable or "module:attribute", until a signal; return the exit status.

    Options are those of `longwire serve` (longwire.server.config.Config). Raises ConfigError,
    AppImportError, BindError and StartupError.
    """
    from longwire.server.config import Config
    from longwire.server.environment import load_env_file
    from longwire.server.server import Server

    load_env_file(options.get("env_file"))
    return Server(Config(app=app, **options)).run()
