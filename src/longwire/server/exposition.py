"""Metric families in Prometheus' text format; the one module that needs prometheus-client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from longwire.server.families import Family

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def exposition(families: Sequence[Family]) -> bytes:
    """Return the families in the text format, version 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_Given(families))
    return generate_latest(registry)


class _Given(Collector):
    """A collector of what has been collected."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.help, family.kind.value)
            for suffix, labels, value in family.samples:
                metric.add_sample(family.name + suffix, dict(labels), value)
            yield metric
