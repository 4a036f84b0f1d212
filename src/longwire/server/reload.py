"""Changes of the application's files, for --reload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from fnmatch import fnmatch
from pathlib import Path

from longwire.errors import ConfigError
from longwire.server.config import Config

DEFAULT_INCLUDES = ("*.py",)
DEFAULT_EXCLUDES = (".*", ".py[cod]", ".sw.*", "~*")
"""uvicorn's."""


async def changes(config: Config, stop: asyncio.Event) -> AsyncIterator[str]:
    """Yield a path for each burst of changes of included files, until `stop` is set."""
    from watchfiles import awatch

    folders = config.reload_dir or (config.app_dir,)
    step = int(config.reload_delay * 1000)
    async for burst in awatch(*folders, stop_event=stop, step=step):
        changed = sorted(path for _, path in burst if is_watched(path, config))
        if changed:
            yield changed[0]


def is_watched(path: str, config: Config) -> bool:
    """Return whether a change of this file restarts the server."""
    name = Path(path).name
    included = (*DEFAULT_INCLUDES, *config.reload_include)
    excluded = (*DEFAULT_EXCLUDES, *config.reload_exclude)
    return any(fnmatch(name, pattern) for pattern in included) and not any(
        fnmatch(name, pattern) for pattern in excluded
    )


def check_reload(config: Config) -> None:
    """Raise ConfigError if the package, or a folder to look at, is missing."""
    for folder in config.reload_dir:
        if not Path(folder).is_dir():
            raise ConfigError(f"--reload-dir: there is no folder {folder}")
    try:
        import watchfiles  # noqa: F401
    except ImportError:
        raise ConfigError(
            "--reload needs the package watchfiles: pip install 'longwire[reload]'"
        ) from None
