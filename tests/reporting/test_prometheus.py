"""Metrics of a run, served to Prometheus."""

from __future__ import annotations

import socket
import struct
import threading
import urllib.error
import urllib.request
from importlib.metadata import version

import pytest
from prometheus_client.parser import text_string_to_metric_families

from loader.errors import ConfigError
from loader.events import SERVER_BUSY, Advanced, Answered, Notice, Rejected, Started, Waited
from loader.reporting.prometheus import RunMetrics, serving
from tests.scraping import scrape


def test_what_happens_is_served() -> None:
    """Each event changes its figures, which are there from the start, and some lie in the buckets of their latency."""
    metrics = RunMetrics("load")
    with serving(metrics.registry, 0) as address:
        before = scrape(address)
        for event in (
            Started("load", 100, 20),
            Advanced(30, 3_000),
            Advanced(10),
            Answered(0.02, 3_000),
            Answered(0.025, 3_000),
            Answered(70.0, 3_000),
            Waited("retry", 0.5, "busy"),
            Waited("rate", 0.25),
            Waited(SERVER_BUSY, 1.5),
            Rejected(3),
            Notice("nothing to count"),
        ):
            metrics(event)
        after = scrape(address)
    changed = {name: value for name, value in after.items() if name.startswith("loader") and before[name] != value}
    assert before[f"loader_run_info load {version('loader')}"] == 1
    assert changed == {
        "loader_rows_expected": 100,
        "loader_rows_resumed": 20,
        "loader_rows_total": 40,
        "loader_bytes_total": 3_000,
        "loader_request_duration_seconds_bucket 0.025": 2,
        **{f"loader_request_duration_seconds_bucket {le}": 2 for le in ("0.05", "0.1", "0.25", "0.5", "1.0", "2.5")},
        **{f"loader_request_duration_seconds_bucket {le}": 2 for le in ("5.0", "10.0", "30.0", "60.0")},
        "loader_request_duration_seconds_bucket +Inf": 3,
        "loader_request_duration_seconds_count": 3,
        "loader_request_duration_seconds_sum": pytest.approx(70.045),
        "loader_retries_total": 1,
        "loader_wait_seconds_total retry": 0.5,
        "loader_wait_seconds_total rate": 0.25,
        "loader_wait_seconds_total server busy": 1.5,
        "loader_rejected_rows_total": 3,
    }


def test_what_begins_anew_counts_anew() -> None:
    """A load whose bucket is made anew has no rows twice: progress never exceeds what is expected."""
    metrics = RunMetrics("load")
    for event in (Started("load", 100, 0), Advanced(60), Started("load", 100, 0), Advanced(10)):
        metrics(event)
    assert metrics.registry.get_sample_value("loader_rows_total") == 10


def test_runs_share_nothing() -> None:
    """Two runs in one process have figures of their own."""
    one, other = RunMetrics("load"), RunMetrics("load")
    one(Advanced(5))
    assert other.registry.get_sample_value("loader_rows_total") == 0


def test_prometheus_reads_either_format() -> None:
    """OpenMetrics, which Prometheus asks for, has the same figures."""
    metrics = RunMetrics("verify")
    metrics(Advanced(7))
    with serving(metrics.registry, 0) as address:
        asked = urllib.request.Request(address, headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        with urllib.request.urlopen(asked, timeout=10) as reply:
            text = reply.read().decode()
    assert "\nloader_rows_total 7.0\n" in text
    assert text.endswith("# EOF\n")
    assert "_created" not in text


def test_only_loopback_is_served_and_only_meanwhile() -> None:
    """By default no other machine reaches the port, and nothing serves it after the end."""
    metrics = RunMetrics("load")
    threads = threading.active_count()
    with serving(metrics.registry, 0) as address:
        assert address.startswith("http://127.0.0.1:")
    with pytest.raises(urllib.error.URLError, match="refused"):
        scrape(address)
    assert threading.active_count() == threads


def test_another_address_can_be_named() -> None:
    """One of IPv6, too."""
    with serving(RunMetrics("load").registry, 0, "::1") as address:
        assert address.startswith("http://[::1]:")
        assert "loader_rows_total" in scrape(address)


@pytest.mark.parametrize(
    ("host", "words", "hint"),
    [
        ("127.0.0.1", "this port is taken", "another port"),
        ("192.0.2.1", "this machine has no such address", "an address of this machine"),
        ("a b", "cannot be served", "an address of this machine"),
    ],
)
def test_a_place_that_is_not_to_be_had_is_an_error(host: str, words: str, hint: str) -> None:
    """The error says which, why, and what to do."""
    metrics = RunMetrics("load")
    with serving(metrics.registry, 0) as address:
        port = int(address.split(":")[2].split("/")[0])
        with pytest.raises(ConfigError, match=words) as caught, serving(metrics.registry, port, host):
            pass
    assert f"{host}:{port}" in caught.value.message
    assert hint in caught.value.hint


def test_a_client_that_breaks_off_is_no_matter(capfd: pytest.CaptureFixture[str]) -> None:
    """It gets no traceback on stderr, and others are served."""
    with serving(RunMetrics("load").registry, 0) as address:
        port = int(address.split(":")[2].split("/")[0])
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"GET /met")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert "loader_rows_total" in scrape(address)
    assert capfd.readouterr().err == ""


def test_names_follow_the_conventions() -> None:
    """Every metric has a help text that is a sentence; counters end in _total, units are base units."""
    with serving(RunMetrics("load").registry, 0) as address, urllib.request.urlopen(address, timeout=10) as reply:
        families = list(text_string_to_metric_families(reply.read().decode()))
    assert len(families) > 12
    for family in families:
        assert family.documentation.endswith(".")
        assert family.name.startswith(("loader_", "process_"))
        assert not family.name.endswith(("_total", "_ms", "_kb"))
        if family.type == "counter":
            assert {sample.name for sample in family.samples} == {f"{family.name}_total"}
