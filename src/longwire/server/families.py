"""Figures as one process hands them to another: metric families, each with its samples.

The form is Prometheus', without its package: only the process that is scraped needs that. Families
of one name add up, whoever they come from: merged() is the sum over several processes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import accumulate
from typing import NamedTuple

Labels = tuple[tuple[str, str], ...]


class Kind(Enum):
    """What a family's figures are, by the names that Prometheus gives them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Sample(NamedTuple):
    """One figure."""

    suffix: str  # of the family's name: _total, _bucket, _count, _sum, or nothing
    labels: Labels
    value: float


@dataclass(frozen=True, slots=True)
class Family:
    """Figures of one name. `name` is without the suffixes; `is_maximum`: the largest, no sum."""

    name: str
    help: str
    kind: Kind
    samples: tuple[Sample, ...]
    is_maximum: bool = False


def counter(name: str, text: str, *figures: tuple[Labels, float]) -> Family:
    """Return a counter of one or more series; its samples are `name`_total."""
    samples = tuple(Sample("_total", labels, value) for labels, value in figures)
    return Family(name, text, Kind.COUNTER, samples)


def gauge(name: str, text: str, *figures: tuple[Labels, float], is_maximum: bool = False) -> Family:
    """Return a gauge of one or more series."""
    samples = tuple(Sample("", labels, value) for labels, value in figures)
    return Family(name, text, Kind.GAUGE, samples, is_maximum)


def histogram(
    name: str, text: str, bounds: Sequence[float], counts: Sequence[int], total: float
) -> Family:
    """Return a histogram: `counts` between the bounds and, last, above them; the values' total."""
    names = [*map(repr, bounds), "+Inf"]
    sums = list(accumulate(counts))
    buckets = [
        Sample("_bucket", (("le", bound),), float(count))
        for bound, count in zip(names, sums, strict=True)
    ]
    rest = Sample("_count", (), float(sums[-1])), Sample("_sum", (), total)
    return Family(name, text, Kind.HISTOGRAM, (*buckets, *rest))


def merged(families: Iterable[Family]) -> list[Family]:
    """Return one family of each name, in the order of their first appearance.

    Series of the same labels are added, or their maximum is taken. Where kinds differ, as after a
    change of the application, the first one's counts, and the others are left out.
    """
    first: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, Labels], float]] = {}
    for family in families:
        known = first.setdefault(family.name, family)
        if family.kind is not known.kind:
            continue
        series = values.setdefault(family.name, {})
        for suffix, labels, value in family.samples:
            earlier = series.get((suffix, labels))
            if earlier is not None:
                value = max(earlier, value) if known.is_maximum else earlier + value
            series[suffix, labels] = value
    return [
        replace(family, samples=tuple(Sample(*key, value) for key, value in values[name].items()))
        for name, family in first.items()
    ]


def lasting(families: Iterable[Family]) -> list[Family]:
    """Return what goes on counting when its process has ended: everything but the gauges."""
    return [family for family in families if family.kind is not Kind.GAUGE]


def encode(families: Iterable[Family]) -> bytes:
    """Return the families as JSON."""
    return json.dumps(
        [
            (family.name, family.help, family.kind.value, family.samples, family.is_maximum)
            for family in families
        ],
        separators=(",", ":"),
    ).encode()


def decode(data: bytes) -> list[Family]:
    """Return the families that encode() made bytes of; ValueError if these are none."""
    try:
        return [
            Family(str(name), str(text), Kind(kind), tuple(map(_sample, samples)), bool(is_maximum))
            for name, text, kind, samples, is_maximum in json.loads(data)
        ]
    except (TypeError, ValueError) as error:
        raise ValueError(f"these are no metric families: {error}") from None


def _sample(figure: Sequence[object]) -> Sample:
    suffix, labels, value = figure
    if not isinstance(value, int | float) or not isinstance(labels, list):
        raise TypeError(f"{figure!r} is no sample")
    return Sample(str(suffix), tuple((str(key), str(label)) for key, label in labels), value)
