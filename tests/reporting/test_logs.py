"""Events as records of the standard logging."""

from __future__ import annotations

import io
import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from loader.events import SERVER_BUSY, Advanced, Answered, Event, Notice, Rejected, Started, Waited
from loader.reporting.logs import EventLog, JsonFormatter, TextFormatter

EVENTS = (
    Started("load", 2_000, 500),
    Advanced(300, 4_096),
    Answered(0.1, 4_096),
    Waited("retry", 0.5, "HTTP 503: busy"),
    Waited(SERVER_BUSY, 1.0),
    Rejected(2),
    Rejected(3),
    Notice("created bucket 'b'"),
    Notice("others can read it", warning=True),
)


@pytest.fixture
def logged() -> Callable[..., list[str]]:
    """Return a function that logs events, and returns the lines."""

    def lines(formatter: logging.Formatter, *events: Event, **named: Any) -> list[str]:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        logger = logging.Logger("mine")
        logger.addHandler(handler)
        log = EventLog(logger, **named)
        for event in events:
            log(event)
        return stream.getvalue().splitlines()

    return lines


def test_lines_of_json_have_time_level_run_and_fields(logged: Callable[..., list[str]]) -> None:
    """Each line is one document; retries and rejected rows are warnings; only the first rejected rows have a line."""
    found = [json.loads(line) for line in logged(JsonFormatter(), *EVENTS, run="1a2b3c4d")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time")) for line in found)
    assert all((line.pop("run"), line.pop("logger")) == ("1a2b3c4d", "mine") for line in found)
    assert found == [
        {
            "level": "INFO",
            "event": "started",
            "message": "load: 2,000 rows, 500 of them done by earlier runs",
            "activity": "load",
            "rows": 2_000,
            "rows_resumed": 500,
        },
        {
            "level": "WARNING",
            "event": "retry",
            "message": "waiting 0.5 s: HTTP 503: busy",
            "cause": "retry",
            "seconds": 0.5,
        },
        {"level": "WARNING", "event": "rejected", "message": "rejected 2 rows", "rows": 2},
        {"level": "INFO", "event": "notice", "message": "created bucket 'b'"},
        {"level": "WARNING", "event": "notice", "message": "others can read it"},
    ]


def test_lines_of_text_have_time_level_run_and_message(logged: Callable[..., list[str]]) -> None:
    """The same for people, in columns; each run has a name of its own."""
    lines = logged(TextFormatter(), Started("stage", 1), Notice("100 % done"))
    (run,) = {line[33:41] for line in lines}
    assert re.fullmatch("[0-9a-f]{8}", run)
    assert [line[23:] for line in lines] == [f"Z INFO    {run} stage: 1 row", f"Z INFO    {run} 100 % done"]
    assert run not in logged(TextFormatter(), Notice("another run"))[0]


def test_progress_is_told_now_and_then(logged: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with every event, but when a few seconds have passed; what is said is what a terminal shows."""
    clock = iter(range(1_000))
    monkeypatch.setattr("loader.reporting.logs.PROGRESS_SECONDS", 1.0)
    monkeypatch.setattr("loader.reporting.logs.time.monotonic", lambda: next(clock) / 10)
    advances = [Advanced(10, 1_024)] * 40
    found = [json.loads(line) for line in logged(JsonFormatter(), Started("load", 1_000), Rejected(4), *advances)]
    progress = [line for line in found if line["event"] == "progress"]
    assert 2 <= len(progress) <= 8
    assert progress[0]["rows_done"] < progress[-1]["rows_done"] <= 400 == progress[0]["rows_expected"] / 2.5
    last = progress[-1]
    assert last["bytes"] == 1_024 * last["rows_done"] // 10
    assert (last["retries"], last["rejected"], last["activity"], last["level"]) == (0, 4, "load", "INFO")
    assert last["message"].startswith(f"load: {last['rows_done']} of 1,000 rows, ")
    assert last["message"].endswith(", 4 rejected")


def test_there_is_no_progress_before_the_work(
    logged: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiling and asking may take long; a line of 0 of 0 rows says nothing."""
    monkeypatch.setattr("loader.reporting.logs.PROGRESS_SECONDS", 0.0)
    before, after = Waited(SERVER_BUSY, 1.0), Advanced(1)
    found = logged(TextFormatter(), before, Started("load", 5), after)
    assert [line[42:] for line in found][:1] == ["load: 5 rows"]
    assert "load: 1 of 5 rows" in found[1]


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_secrets_never_appear(logged: Callable[..., list[str]], formatter: logging.Formatter) -> None:
    """Neither a token that a server repeats, nor what looks like a credential."""
    echo = Waited("retry", 1.0, "HTTP 503: no s3cr3t-token, Token abcdefgh12345678, http://me:pass@there/")
    text = "\n".join(logged(formatter, echo, Notice("s3cr3t-token"), secrets=["", "s3cr3t-token"]))
    assert text.count("***") == 4
    assert not any(secret in text for secret in ("s3cr3t", "abcdefgh", "pass"))


def test_fields_have_no_secrets_either() -> None:
    """What a program adds to a record is cleaned like the message, and stands on the record by its name."""
    seen: list[logging.LogRecord] = []
    logger = logging.Logger("mine")
    logger.addFilter(lambda record: not seen.append(record))
    EventLog(logger, "1a2b3c4d", ["s3cr3t-token"]).record(
        logging.ERROR, "ended", "no", error="s3cr3t-token", exit_code=3
    )
    (record,) = seen
    assert (vars(record)["error"], vars(record)["exit_code"], vars(record)["run"]) == ("***", 3, "1a2b3c4d")


def test_a_traceback_is_not_lost() -> None:
    """One that a program logs through the same handler is a field in JSON, and stands below the line in text."""
    try:
        raise ValueError("why")
    except ValueError as error:
        found = (type(error), error, error.__traceback__)
    record = logging.LogRecord("mine", logging.ERROR, "", 0, "failed", None, found)
    assert json.loads(JsonFormatter().format(record))["trace"].endswith("ValueError: why")
    assert TextFormatter().format(record).endswith("ValueError: why")
    assert " ERROR   - failed\nTraceback" in TextFormatter().format(record)


def test_times_are_utc_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine in Tokyo writes the time of its log as one in London does."""
    record = logging.makeLogRecord({"msg": "words", "levelname": "INFO", "created": 1_700_000_000.125})
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    try:
        time.tzset()
        assert TextFormatter().format(record).startswith("2023-11-14T22:13:20.125Z INFO ")
    finally:
        monkeypatch.undo()
        time.tzset()
