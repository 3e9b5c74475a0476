"""The command line: options become settings, reports become output and exit codes."""

from __future__ import annotations

import ast
import inspect
import io
import json
import shutil
import sys
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

import loader
from loader.cli import build_app, option_values, progress
from loader.cli.progress import watching
from loader.errors import ConfigError
from loader.events import Advanced, Notice, Rejected, Started, Waited
from tests.datasets import small_dataset
from tests.serving import served

SECRET = "very-secret-token"


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def test_public_names_are_there() -> None:
    """Everything that the package promises can be imported from it."""
    assert all(hasattr(loader, name) for name in loader.__all__)
    assert sorted(loader.__all__) == loader.__all__


def test_other_names_are_not() -> None:
    """What the package does not promise is an error, as for any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        loader.nothing  # noqa: B018


def test_help_names_every_command() -> None:
    """The commands can be found."""
    result = run("--help")
    assert result.exit_code == 0
    for command in ("stage", "load", "verify", "status"):
        assert command in result.stdout


@pytest.mark.parametrize("name", ["stage", "load", "verify", "status", "doctor"])
def test_each_command_makes_one_library_call(name: str) -> None:
    """A command parses, calls the library once, renders and exits."""
    calls = {
        "stage": "staging.stage",
        "load": "loading.load",
        "verify": "verification.verify",
        "status": "read_status",
        "doctor": "diagnosis.diagnose",
    }
    module = sys.modules[f"loader.cli.{name}"]
    tree = ast.parse(inspect.getsource(module))
    made = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert made.count(calls[name]) == 1


def test_a_wrong_option_is_a_usage_error() -> None:
    """Exit code 2, as everywhere."""
    assert run("load", "--no-such-option").exit_code == 2


def test_a_stage_is_resumed_summarised_and_measured(tmp_path: Path) -> None:
    """A second stage keeps everything; both leave metrics; other settings are refused with what differs."""
    out = tmp_path / "data"
    arguments = (
        "stage",
        "--out",
        out,
        "--trades",
        "2000",
        "--end",
        "2024-01-05",
        "--symbols",
        "AAPL,F",
        "--workers",
        "1",
    )
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "2,000 trades in 4 partitions" in result.stdout
    assert "4 of them kept" in run(*arguments).stdout
    assert len(list((out / ".loader" / "metrics").glob("stage-*.json"))) == 2
    refused = run(*arguments, "--seed", "2")
    assert refused.exit_code == 2
    assert "seed" in refused.stderr
    assert "stage into another folder" in refused.stderr
    assert run(*arguments, "--seed", "2", "--overwrite", "--quiet").output == ""


def test_json_is_all_there_is_on_stdout(tmp_path: Path) -> None:
    """The whole of stdout is one JSON document, for a success and for an error."""
    out = tmp_path / "data"
    done = run("stage", "--out", out, "--trades", "10", "--end", "2024-01-03", "--workers", "1", "--json")
    content = json.loads(done.stdout)
    assert content["report"]["rows"] == 10
    assert content["exit_code"] == 0
    failed = run("load", out, "--host", "http://127.0.0.1:1", "--json", "--token", SECRET)
    content = json.loads(failed.stdout)
    assert content["exit_code"] == failed.exit_code == 3
    assert "cannot connect" in content["error"]
    wrong = run("load", out, "--shard-duration", "x", "--json")
    assert json.loads(wrong.stdout)["exit_code"] == wrong.exit_code == 2
    status = run("status", out, "--json")
    assert json.loads(status.stdout)["rows"] == 10


def test_a_missing_dataset_is_an_error_with_a_hint(tmp_path: Path) -> None:
    """No traceback, exit code 2, what to do, and no folder made on the way."""
    for command in ("load", "verify", "status"):
        result = run(command, tmp_path / "missing")
        assert result.exit_code == 2
        assert result.stderr.startswith("error: ")
        assert "hint: name " in result.stderr
    assert not (tmp_path / "missing").exists()
    small_dataset(tmp_path / "there")
    server = ("--host", "http://127.0.0.1:1")
    for command, wrong in (
        ("load", "missing"),
        ("load", "."),
        ("verify", "missing"),
        ("verify", "."),
        ("status", "missing"),
        ("status", "."),
        ("doctor", "missing"),
    ):
        said = run(command, tmp_path / wrong, *(() if command == "status" else server)).output
        assert f"datasetsarethere:{tmp_path / 'there'}" in "".join(said.split()), (command, wrong)  # lines are wrapped
    (tmp_path / "empty").mkdir()
    assert run("load", tmp_path / "empty").exit_code == 2
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_server_that_is_no_influxdb_is_named(tmp_path: Path) -> None:
    """A web server that knows neither /health nor /ping gets nothing else asked."""
    small_dataset(tmp_path / "data")
    with served(QuietHandler) as address:
        results = [run(command, tmp_path / "data", "--host", address) for command in ("load", "verify")]
    for result in results:
        assert result.exit_code == 2
        assert f"{address}: this is not an InfluxDB" in result.stderr
        assert "hint: check --host" in result.stderr


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files, as ``python -m http.server`` does, without a log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_a_dry_run_needs_no_server(tmp_path: Path) -> None:
    """Everything is encoded and reported."""
    small_dataset(tmp_path / "data")
    result = run("load", tmp_path / "data", "--dry-run")
    assert result.exit_code == 0
    assert "600 of 600" in result.stdout


def test_metrics_that_cannot_be_written_are_a_warning(tmp_path: Path) -> None:
    """The work is done all the same."""
    small_dataset(tmp_path / "data")
    (tmp_path / "data" / ".loader" / "metrics").write_text("a file where a folder should be")
    result = run("load", tmp_path / "data", "--dry-run")
    assert result.exit_code == 0
    assert "warning: no metrics file" in result.stderr


def test_the_token_appears_nowhere(tmp_path: Path) -> None:
    """No output and no file beside the dataset holds the token, wherever it came from."""
    small_dataset(tmp_path / "data")
    (tmp_path / "token").write_text(SECRET + "\n")
    outputs = [
        run("load", tmp_path / "data", "--host", "http://127.0.0.1:1", "--token", SECRET).output,
        run("load", tmp_path / "data", "--host", "http://127.0.0.1:1", "--token-file", tmp_path / "token").output,
        run("load", tmp_path / "data", "--dry-run", "--json", "--token", SECRET).output,
    ]
    files = [path.read_bytes() for path in (tmp_path / "data" / ".loader").rglob("*") if path.is_file()]
    assert all(SECRET not in output for output in outputs)
    assert all(SECRET.encode() not in content for content in files)


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """The error says which file."""
    result = run("load", tmp_path, "--token-file", tmp_path / "nothing")
    assert result.exit_code == 2
    assert "nothing: cannot be read" in result.stderr


def test_the_influx_configuration_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The active profile is the target when nothing else is said; so it is at its usual place."""
    text = '[a]\nurl = "http://a:1"\norg = "o"\ntoken = "t"\nactive = true\n'
    (tmp_path / "configs").write_text(text)
    monkeypatch.setenv("INFLUX_CONFIGS_PATH", str(tmp_path / "configs"))
    assert option_values.read_target("", "", None, "", "").url == "http://a:1"
    monkeypatch.delenv("INFLUX_CONFIGS_PATH")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert option_values.read_target("", "", None, "", "").url == "http://localhost:8086"
    (tmp_path / ".influxdbv2").mkdir()
    shutil.copy(tmp_path / "configs", tmp_path / ".influxdbv2" / "configs")
    assert option_values.read_target("", "", None, "", "").url == "http://a:1"


NAMED = "INFLUX_CONFIGS_PATH"


@pytest.mark.parametrize("where", [NAMED, "HOME"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[a]\ntoken = "gänslich-secret"\n'.encode("latin-1"), "not text in UTF-8"),
        ('[a]\ntoken = "very-secret"\n'.encode("utf-16"), "not text in UTF-8"),
        (None, "Is a directory"),
    ],
)
def test_an_influx_configuration_that_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, content: bytes | None, words: str
) -> None:
    """No load goes to another server because the profile of the right one cannot be read; nothing of it is shown."""
    path = tmp_path / ".influxdbv2" / "configs"
    path.parent.mkdir()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    monkeypatch.delenv(NAMED)
    monkeypatch.setenv(where, str(path if where == NAMED else tmp_path))
    monkeypatch.setenv("INFLUX_TOKEN", "of-the-environment")
    result = run("load", tmp_path)
    assert result.exit_code == 2
    assert f"{path}: the influx CLI's profiles cannot be read: " in result.stderr
    assert words in result.stderr
    assert "secret" not in result.output + result.stderr


def test_only_the_usual_configuration_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is named must be there; without one, or without a home, there is no profile."""
    monkeypatch.setenv(NAMED, str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="nothing: the influx CLI's profiles cannot be read: No such file"):
        option_values.read_target("", "", None, "", "")
    monkeypatch.delenv(NAMED)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert option_values.read_target("", "", None, "", "").url == "http://localhost:8086"
    monkeypatch.setattr(Path, "expanduser", lambda path: (_ for _ in ()).throw(RuntimeError("no home")))
    assert option_values.read_target("", "", None, "", "").url == "http://localhost:8086"


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("7d", 604_800), ("36h", 129_600), ("2w", 1_209_600)])
def test_durations_are_read(text: str, seconds: int) -> None:
    """A number and a unit."""
    assert option_values.read_duration(text) == seconds * 10**9


@pytest.mark.parametrize("text", ["7", "d", "7y", "-1d", "1.5h"])
def test_other_durations_are_refused(text: str) -> None:
    """The error shows how to write one."""
    with pytest.raises(ConfigError, match="7d"):
        option_values.read_duration(text)


def test_names_may_be_repeated_and_joined() -> None:
    """Both ways of giving several names work together."""
    assert option_values.read_names(["A,B", " C ", ""]) == ("A", "B", "C")
    assert option_values.read_names(None) == ()


EVENTS = (
    Notice("said once"),
    Started("load", 1_000, 100),
    Advanced(300, 4_096),
    Waited("retry", 1.5, "the server was busy"),
    Waited("rate", 0.1),
    Rejected(2),
    Advanced(600, 4_096),
)


def test_progress_elsewhere_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal there are plain lines with all counts, and no control characters."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    console = Console(file=io.StringIO(), force_terminal=False)
    with watching(console, quiet=False) as observe:
        for event in EVENTS:
            observe(event)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    last = text.splitlines()[-1]
    assert "said once" in text
    assert last.startswith("load: 1,000 of 1,000 rows, ")
    assert "8.0 KiB, 1 retry, 2 rejected" in last
    assert "\x1b" not in text


def test_lines_are_not_printed_for_every_event() -> None:
    """A short run prints what it must say, and no progress."""
    console = Console(file=io.StringIO(), force_terminal=False)
    with watching(console, quiet=False) as observe:
        for event in EVENTS:
            observe(event)
    assert console.file.getvalue() == "said once\n"  # type: ignore[attr-defined]


def test_progress_on_a_terminal_is_a_bar() -> None:
    """A terminal sees the bar with all counts, and each wait with its cause."""
    console = Console(file=io.StringIO(), force_terminal=True, width=140)
    with watching(console, quiet=False) as observe:
        for event in EVENTS:
            observe(event)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("said once", "100%", "1,000 rows", "1 retry", "2 rejected", "waiting 1.5 s: the server was busy"):
        assert words in text


def test_quiet_is_quiet() -> None:
    """Nothing at all is shown."""
    console = Console(file=io.StringIO(), force_terminal=True)
    with watching(console, quiet=True) as observe:
        for event in EVENTS:
            observe(event)
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
