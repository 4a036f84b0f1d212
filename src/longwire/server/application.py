"""From `module:attribute` to the ASGI application, with an error a person can act on."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from pathlib import Path
from typing import Any, cast

from longwire.asgi import ASGIApp
from longwire.errors import AppImportError
from longwire.server.config import Config


def load_application(config: Config) -> ASGIApp:
    """Return the application that the configuration names; AppImportError in one line."""
    app: Any = config.app
    if isinstance(app, str):
        app = _import(app, config.app_dir)
    if config.factory:
        if not callable(app):
            raise AppImportError(f"--factory: {config.app!r} is not callable")
        try:
            app = app()
        except Exception as error:
            raise AppImportError(f"the factory {config.app!r} failed: {_place(error)}") from error
    if not callable(app):
        raise AppImportError(f"{config.app!r} is a {type(app).__name__}, not an application")
    if _is_asgi2(app):
        raise AppImportError(
            f"{config.app!r} takes one argument, as ASGI 2 had it; ASGI 3 is "
            "async def app(scope, receive, send)"
        )
    return cast(ASGIApp, app)


def _import(name: str, app_dir: str) -> Any:
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise AppImportError(f"the application is given as module:attribute; got {name!r}")
    directory = str(Path(app_dir).resolve())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise AppImportError(f"importing {module_name!r} failed: {_place(error)}") from error
        raise AppImportError(f"there is no module {module_name!r} in {directory}") from None
    except Exception as error:
        raise AppImportError(f"importing {module_name!r} failed: {_place(error)}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise AppImportError(f"module {module_name!r} has no attribute {attribute!r}")
        found = getattr(found, part)
    return found


def _place(error: BaseException) -> str:
    """Return the error in one line, with the file and line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError):
        where = f"{error.filename}:{error.lineno}"
    else:
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
    message = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {message} ({where})"


def _is_asgi2(app: Any) -> bool:
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return False
    required = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return len(required) == 1 and not any(p.kind is p.VAR_POSITIONAL for p in parameters)
