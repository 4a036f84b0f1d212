"""The file of environment variables that is read before the application (--env-file)."""

from __future__ import annotations

from pathlib import Path

from longwire.errors import ConfigError


def load_env_file(path: str | None) -> None:
    """Set the file's variables that are not set yet; ConfigError if it cannot be read."""
    if path is None:
        return
    try:
        from dotenv import load_dotenv
    except ImportError:
        raise ConfigError(
            "--env-file needs the package python-dotenv: pip install 'longwire[env]'"
        ) from None
    if not Path(path).is_file():
        raise ConfigError(f"--env-file: there is no file {path}")
    load_dotenv(path)
