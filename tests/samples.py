"""The samples of a scrape, read by Prometheus' own parser, and names for them in tests."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "longwire_"

Samples = dict[str, float]


def read(text: str) -> Samples:
    """Return each sample by its name as `written` has it."""
    return {
        written(sample.name.removeprefix(PREFIX), sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def written(metric: str, labels: dict[str, str]) -> str:
    """Return the name of a sample: `connections kind="http"`."""
    return metric + "".join(f' {name}="{value}"' for name, value in sorted(labels.items()))


def named(key: str) -> str:
    """Return the sample of a keyword: connections__kind_http is `connections kind="http"`."""
    metric, *labels = key.split("__")
    pairs = (label.partition("_") for label in labels)
    return written(metric, {label: value for label, _, value in pairs})
