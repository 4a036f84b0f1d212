"""The application's file, replaced while its server runs."""

from __future__ import annotations

from pathlib import Path


def put(folder: Path, source: str) -> None:
    """Have served.py be this, at once: neither a worker nor the watcher finds half of it."""
    new = folder / "served.new"
    new.write_text(source)
    new.replace(folder / "served.py")


def version(app: str, number: int) -> str:
    """Return the application with another VERSION, and of another size.

    Python takes a file of the same size and second for the one that it has compiled already.
    """
    return app.replace("VERSION = 1", f"VERSION = {number}") + "\n" * number
