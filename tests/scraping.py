"""Scrapes metrics as Prometheus does."""

from __future__ import annotations

import urllib.request

from prometheus_client.parser import text_string_to_metric_families


def scrape(address: str) -> dict[str, float]:
    """Return the value of each sample at ``address``, by its name and, in order, the values of its labels."""
    with urllib.request.urlopen(address, timeout=10) as reply:
        text = reply.read().decode()
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}
