"""Every command and every program of README.md and docs/ does what the page says."""

from __future__ import annotations

import gzip
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.fences import PAGES, ROOT, DoesNotHold, Sitting, commands, find_blocks, mismatch, write_programs
from tools.influxd import find_binary

LEFT_OUT = {
    "make demo": "starts a server of its own; tests/test_demo.py runs it",
    "make test": "is what runs this",
    "make docs": "tests/test_site.py builds the site in the same way",
    "make notebooks": "opens Jupyter Lab; tests/test_notebooks.py runs the notebooks",
}
"""Commands that are not run, and why."""

SUBSTITUTES = {
    # 300 million trades are 4,000, of one month.
    r"^loader stage --out data/$": "loader stage --out data/ --trades 4000 --end 2024-01-31 --workers 1",
    # A minute of measuring is a moment.
    r"^loader tune data/$": "loader tune data/ --seconds 2",
    r"^export INFLUX_HOST=.*$": "true",
    # The server of the reader is that of the test.
    r'"http://localhost:8086"': '"{url}"',
    r'"my-org"': '"{org}"',
}
"""What is run in place of what a page says."""

RUN = [page for page in PAGES if any(not block.language.startswith("{") for block in find_blocks(page))]


def substitute(text: str, **values: str) -> str:
    """Return what is run in place of ``text``."""
    for pattern, other in SUBSTITUTES.items():
        text = re.sub(pattern, lambda _, other=other: other.format(**values), text)
    return text


def prepare(folder: Path, page: str) -> None:
    """Write the files that pages name; ``data/`` is the sample, unless the page stages its own."""
    rows = np.arange(3_000)
    picked = pd.Timestamp("2024-01-01") + pd.to_timedelta(rows * 800, "s")
    trips = pd.DataFrame(
        {
            "VendorID": (rows % 2).astype("int32"),
            "tpep_pickup_datetime": picked,
            "tpep_dropoff_datetime": picked + pd.Timedelta("9min"),
            "passenger_count": np.where(rows % 7, rows % 5, np.nan),
            "store_and_fwd_flag": np.where(rows % 100, "N", "Y"),
        }
    )
    trips.to_parquet(folder / "yellow_tripdata_2024-01.parquet", row_group_size=1_000)
    (folder / "trips").mkdir()
    for week in range(1, 5):
        pickup = pd.Timestamp("2024-01-01") + pd.to_timedelta(rows[:100] * 60 + week * 604_800, "s")
        trips = pd.DataFrame({"pickup": pickup, "vendor": "A", "fare": rows[:100] / 4})
        trips.to_parquet(folder / "trips" / f"2024-W{week:02}.parquet")
    (folder / "export").mkdir()
    for month in (1, 2):
        lines = "".join(f"h{row % 3},2024-{month:02}-01 00:00:{row:02},{row}\n" for row in range(60))
        (folder / "export" / f"2024-{month:02}.csv").write_text(f"host,when,load\n{lines}")
    with gzip.open(folder / "metrics.lp.gz", "wt") as file:
        file.writelines(f"cpu,host=h{row % 3} load={row} {row}\n" for row in range(1, 60))
    if "--out data/" not in page:
        shutil.copytree(ROOT / "tests" / "sample", folder / "data")


@pytest.fixture
def sit(
    start_influxd: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], Sitting]:
    """Return a function that prepares to run a page, with a server of its own."""

    def begin(page: Path) -> Sitting:
        server = start_influxd("v2")
        for name in [name for name in os.environ if name.startswith("INFLUX")]:
            monkeypatch.delenv(name)
        environment = {
            "INFLUX_HOST": server.url,
            "INFLUX_ORG": server.org,
            "INFLUX_TOKEN": server.token,
            "INFLUX_CONFIGS_PATH": "/dev/null",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "140",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        folder = tmp_path / "sitting"
        folder.mkdir()
        monkeypatch.chdir(folder)
        prepare(folder, page.read_text())
        write_programs(tmp_path / "programs", find_binary("v2"))
        return Sitting(tmp_path / "programs", lambda text: substitute(text, url=server.url, org=server.org), LEFT_OUT)

    return begin


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page: Path, sit: Callable[[Path], Sitting]) -> None:
    """Its commands and programs run, one after the other, and print what it shows."""
    sitting = sit(page)
    for block in find_blocks(page):
        sitting.run(block)


def test_what_is_left_out_or_replaced_is_there() -> None:
    """No entry stays when the page that it was for has changed; every command is run or left out for a reason."""
    blocks = [block for page in PAGES for block in find_blocks(page)]
    texts = {command.text for block in blocks for command in commands(block)}
    assert LEFT_OUT.keys() <= texts
    texts |= {block.text for block in blocks if block.language == "python"}
    assert [pattern for pattern in SUBSTITUTES if not any(re.search(pattern, text) for text in texts)] == []


@pytest.mark.parametrize(
    ("language", "text", "wrong"),
    [
        ("sh", "loader status data/", ""),
        ("sh", "loader status data/ --json | grep -c rows  # a pipe", ""),
        ("sh", "loader status data/ --no-such-flag", "exit code 2"),
        ("", "loader status data/ && loader no-such-command", "exit code 2"),
        ("", "make coffee", "exit code 2"),
        ("sh", "for name in data; do\n  loader status $name\ndone && false", "exit code 1"),
        ("console", "$ loader status nowhere/\n$ echo $?\n2", ""),
        ("console", "$ loader status nowhere/\n$ echo $?\n1", "exit code 2"),
        ("console", "$ loader status data/\n$ echo $?\n2", "exit code 0"),
        ("console", "$ loader status \\\n    data/\n...", ""),
        ("console", "$ loader status data/\nis fine", "where the page shows 'is fine'"),
        ("console", "$ loader status data/", "where the page shows nothing more"),
        ("console", "loader status data/", "begins without a command"),
        ("python", "import loader\nassert loader.load", ""),
        ("python", "from loader import unload", "ImportError"),
        ("toml", 'tags = ["vendor"]', ""),
        ("toml", "tags = vendor", "is no toml"),
        ("text", "anything", ""),
        ("{note}", "anything", ""),
        ("ruby", "puts 1", "nobody knows how to check a block of 'ruby'"),
    ],
)
def test_what_does_not_hold_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, text: str, wrong: str
) -> None:
    """A block fails by its exit code, by what it prints, and by what it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    prepare(tmp_path, "")
    write_programs(tmp_path / "programs", Path("influxd"))
    (tmp_path / "page.md").write_text(f"# Page\n\n```{language}\n{text}\n```\n")
    sitting = Sitting(tmp_path / "programs", str, LEFT_OUT)
    (block,) = find_blocks(tmp_path / "page.md")
    if wrong:
        with pytest.raises(DoesNotHold, match=re.escape(wrong)):
            sitting.run(block)
    else:
        sitting.run(block)


@pytest.mark.parametrize(
    ("printed", "output", "optional", "wrong"),
    [
        ("loaded  9 of 9", "loaded   4,000 of 4,000", "", ""),
        ("5.2 GiB sent", "66 KiB sent", "", ""),
        ("a\n...\nd", "a\nb\nc\nd", "", ""),
        ("a\nd", "a\nb\nd", "", "prints 'b', where the page shows 'd'"),
        ("a\nd", "a\nb\nd", "b", ""),
        ("a\nd", "a", "", "does not print 'd'"),
        ("d\na", "a\nd", "", "prints 'a', where the page shows 'd'"),
        ("9 points", "9 rows", "", "prints '9 rows', where the page shows '9 points'"),
    ],
)
def test_the_shape_of_output(printed: str, output: str, optional: str, wrong: str) -> None:
    """Only numbers, their units and space may differ; what is left out is shown as such, or went to standard error."""
    assert mismatch(printed.splitlines(), output, optional.splitlines()) == wrong
