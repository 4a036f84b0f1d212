"""The figures of the application: what it registers by `longwire.metrics` in the scope.

    register(collect)        collect() -> [(kind, name, help, [(labels, value), ...]), ...]

The form needs no import of ours and no package: kind is "counter" or "gauge", a counter's name is
without `_total`, labels are a dict.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from longwire.server.families import Family, Labels, counter, gauge

Figures = Iterable[tuple[Mapping[str, str], float]]
Collect = Callable[[], Iterable[tuple[str, str, str, Figures]]]

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
"""What Prometheus takes for a name; one that is none would spoil the whole scrape."""

MAX_COLLECTORS = 100
"""Functions of an application at most: one that registers anew for each connection is a leak."""

KINDS = {"counter": counter, "gauge": gauge}

logger = logging.getLogger("longwire.error")


class Registered:
    """What the application wants to be in the metrics."""

    def __init__(self) -> None:
        self._collectors: dict[Collect, None] = {}

    def register(self, collect: Collect) -> None:
        """Ask this function at each scrape, too; the same one twice is one. ValueError for more
        than MAX_COLLECTORS.
        """
        if collect not in self._collectors and len(self._collectors) == MAX_COLLECTORS:
            raise ValueError(f"more than {MAX_COLLECTORS} functions that collect metrics")
        self._collectors[collect] = None

    def collect(self) -> Iterator[Family]:
        """Return what all of them say; one that fails is left out, with a line in the log."""
        for collect in tuple(self._collectors):
            try:
                yield from [_family(*figures) for figures in collect()]
            except Exception:
                logger.exception("metrics of the application could not be collected")


def _family(kind: str, name: str, text: str, figures: Figures) -> Family:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a metric")
    return KINDS[kind](name, text, *((_labels(labels), float(value)) for labels, value in figures))


def _labels(labels: Mapping[str, str]) -> Labels:
    if not all(NAME.fullmatch(name) for name in labels):
        raise ValueError(f"{labels!r} has a name that is none of a label")
    return tuple((name, str(value)) for name, value in labels.items())
