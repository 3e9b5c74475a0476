"""Metrics and logs of loads into real servers, while they run and at their end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loader.events import SERVER_BUSY, Advanced, Event, Waited
from loader.loading import LoadSettings, load
from loader.loading.settings import WriteSettings
from loader.reporting.prometheus import RunMetrics
from loader.servers.base import Target
from tests.datasets import small_dataset
from tests.fault_proxy import Answer, Call, Late, fault_proxy
from tests.scraping import scrape


@contextmanager
def loading(server: Any, dataset: Path, url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Load in a process of its own, which is killed if it does not end within the block."""
    command = [sys.executable, "-m", "loader", "load", str(dataset), "--bucket", server.new_bucket(), "--host", url]
    environment = {**os.environ, "INFLUX_TOKEN": server.token, "INFLUX_ORG": server.org}
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_load_is_scraped_while_it_runs(influx_v2: Any, tmp_path: Path) -> None:
    """What is scraped in the middle is what the load has done by then; the port is said, and closed at the end."""
    small_dataset(tmp_path / "data")
    reached, go_on = threading.Event(), threading.Event()

    def hold(call: Call) -> None:
        if call.number == 3:
            reached.set()
            go_on.wait(30)

    arguments = ("--batch-lines", "100", "--connections", "1", "--metrics-port", "0", "--log-format", "json")
    with (
        fault_proxy(influx_v2.url, hold) as proxy,
        loading(influx_v2, tmp_path / "data", proxy.url, *arguments, "--json") as process,
    ):
        assert reached.wait(60)
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        address = re.findall(r"http://127\.0\.0\.1:\d+/metrics", lines[1])[0]
        found = scrape(address)
        go_on.set()
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    # The answer to the third body may be on its way.
    sizes = [len(call.body.splitlines()) for call in proxy.writes]
    answered = int(found["loader_request_duration_seconds_count"])
    assert answered in {2, 3}
    assert found["loader_rows_total"] in {sum(sizes[:2]), sum(sizes[:3])}
    assert found["loader_rows_expected"] == 600
    assert found["process_resident_memory_bytes"] > 10_000_000
    content = json.loads(output)
    last = json.loads(errors.splitlines()[-1])
    assert content["report"]["rows_acknowledged"] == 600 == last["rows"]
    assert last["run"] == content["run"]
    with pytest.raises(OSError, match="refused"):
        scrape(address)


@pytest.mark.parametrize("via", ["write", "restore"])
def test_figures_agree_with_the_report(influx_v2: Any, tmp_path: Path, via: str) -> None:
    """By both ways in, with a retry, and on the write path a rejected line."""
    small_dataset(tmp_path / "data")
    writes = via == "write"
    metrics = RunMetrics("load")

    def refuse(call: Call) -> Answer | None:
        if call.number == 0:
            return Answer(503)
        return Answer(422) if writes and proxy.writes[0].body.splitlines()[0] in call.body.splitlines() else None

    with fault_proxy(influx_v2.url, refuse) as proxy:
        report = load(
            LoadSettings(
                dataset=tmp_path / "data",
                target=Target(proxy.url, influx_v2.new_bucket() if writes else "anew", "loader", influx_v2.token),
                via=via,
                write=WriteSettings(batch_lines=100) if writes else WriteSettings(),
                connections=1,
            ),
            metrics,
        )

    def figure(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"loader_{name}", labels)

    assert figure("rows_expected") == report.rows == 600
    assert figure("rows_total") == report.rows_done == 600
    assert figure("bytes_total") == report.body_size > 0
    assert figure("retries_total") == report.retries == 1
    assert figure("rejected_rows_total") == report.rows_rejected == (1 if writes else 0)
    for cause, seconds in report.waits.items():
        assert figure("wait_seconds_total", cause=cause) == pytest.approx(seconds)
    # On the restore path only attempts that succeed are counted.
    assert figure("request_duration_seconds_count") == len(proxy.writes) - (0 if writes else 1)


def test_a_busy_server_is_told_of_meanwhile(influx_v2: Any, tmp_path: Path) -> None:
    """Who limits a load is known while it runs, and the parts add up to what the report says."""
    small_dataset(tmp_path / "data")
    events: list[Event] = []
    with fault_proxy(influx_v2.url, lambda call: Late(0.7) if call.number < 3 else None) as proxy:
        target = Target(proxy.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)
        write = WriteSettings(batch_lines=100)
        report = load(LoadSettings(tmp_path / "data", target, write=write, connections=1), events.append)
    waits = [number for number, event in enumerate(events) if isinstance(event, Waited)]
    last_rows = max(number for number, event in enumerate(events) if isinstance(event, Advanced))
    assert waits[0] < last_rows
    parts = [event.seconds for event in events if isinstance(event, Waited) and event.cause == SERVER_BUSY]
    assert sum(parts) == pytest.approx(report.waits[SERVER_BUSY])
    assert parts[0] >= 1.0
    assert sum(parts) <= report.seconds


def test_no_line_has_the_token(influx_v2: Any, tmp_path: Path) -> None:
    """Not even where the server repeats it in its answer, which else is quoted."""
    small_dataset(tmp_path / "data", days=1)
    echo = Answer(503, f'{{"message":"busy, {influx_v2.token}, come again"}}'.encode())
    stop = Answer(401, f'{{"message":"no: {influx_v2.token}"}}'.encode())
    with (
        fault_proxy(influx_v2.url, lambda call: {1: echo, 2: stop}.get(call.number)) as proxy,
        loading(
            influx_v2,
            tmp_path / "data",
            proxy.url,
            *("--batch-lines", "100", "--connections", "1", "--log-format", "text", "--debug"),
        ) as process,
    ):
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert influx_v2.token not in output + errors
    assert re.search(r" WARNING \w+ waiting 0\.\d s: .*503.*busy, \*\*\*, come again", errors)
    assert re.search(r" ERROR   \w+ load ended with exit code 2: .*401", errors)
