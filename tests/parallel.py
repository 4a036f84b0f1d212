"""How `make test` shares the tests out among processes: by file, so that fixtures are made once."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

TOGETHER = (
    "tests/browser/",  # two browsers at once would want more processors than there are
    "tests/documents/",  # the last test asks what the others have executed
)
"""Folders that one process runs alone."""


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """By file, or by folder for those that belong together."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)
