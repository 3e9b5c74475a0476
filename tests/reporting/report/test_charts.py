"""The charts of a report, and the page around them, without a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import vl_convert

from loader.dataset.manifest import write_manifest
from loader.errors import ConfigError
from loader.events import SERVER_BUSY
from loader.reporting.report.charts import draw
from loader.reporting.report.page import render
from loader.reporting.report.projection import Projection
from loader.reporting.report.report import DatasetReport, Report, ReportSettings, report
from loader.reporting.report.sample import Price
from loader.reporting.report.tuning import TunedValue, Tuning
from loader.reporting.report.write import page_of, write_report
from tests.datasets import small_dataset
from tests.reporting.report.runs import DAY, SAMPLE, run, verified

TIMELINE = {
    name: [0.0, 10.0 * factor, 10.0 * factor, 60.0 * factor, 100.0 * factor]
    for name, factor in {
        "seconds": 1.0,
        "rows": 10_000.0,
        "bytes": 1e6,
        "requests": 0.5,
        "request_seconds": 1.0,
        "retries": 0.0,
        "rejected": 0.0,
        "cpu_seconds": 0.3,
        "memory": 1e6,
    }.items()
}
FULL = replace(
    SAMPLE,
    series=(("m,a=b", 900), ("m," + "x" * 60, 100)),
    slots=((1, 500), (95, 500)),
    price="price",
    prices=(Price("b", 0, 1.5), Price("b", DAY, 2.5)),
)
LOAD = run(timeline=TIMELINE, waits={SERVER_BUSY: 60.0, "retry": 1.0, "rate": 0.0}, retries=1)


def dataset(*runs: Any, **changes: Any) -> DatasetReport:
    """Return the report of a dataset of which little is known."""
    known = DatasetReport(
        "data", "f", 1_000_000, 10, 1, {"m": 1_000_000}, ("a",), 0, DAY, True, (), SAMPLE, None, (), (), {}
    )
    return replace(known, runs=runs, **changes)


def made(*datasets: DatasetReport) -> Report:
    """Return a report."""
    return Report("2024-01-02T00:00:00+00:00", "1", datasets)


def titles(spec: Any) -> list[Any]:
    """Return the titles of the axes of a chart."""
    return [spec["encoding"][axis].get("title") for axis in ("x", "y")]


def test_each_chart_can_be_drawn() -> None:
    """Vega-Lite takes them; they have a title, words for it, and both axes say what they show."""
    runs = [LOAD, verified(), run(activity="stage", way="", requests={}), run(rejected=1, way="restore")]
    charts = draw(made(dataset(*runs, LOAD, sample=FULL), dataset(verified())))
    assert {chart.section for chart in charts} == {"compare", "load", "dataset", "runs"}
    assert len(charts) == 13
    for chart in charts:
        assert chart.title
        assert chart.description
        assert all(titles(chart.spec)), chart.title
        assert "<path" in vl_convert.vegalite_to_svg({**chart.spec, "width": 300})


def test_what_was_done_a_second() -> None:
    """It is the difference between samples, by their distance; two samples at one moment are no span."""
    (rows, cores, *_) = (chart for chart in draw(made(dataset(LOAD))) if chart.section == "load")
    values = [(each["seconds"], each["value"]) for each in rows.spec["data"]["values"]]
    assert values == [(0.0, 10_000.0), (10.0, 10_000.0), (60.0, 10_000.0), (100.0, 10_000.0)]
    assert {round(each["value"], 6) for each in cores.spec["data"]["values"]} == {0.3}


def test_a_last_moment_tells_nothing() -> None:
    """A span that is far shorter than others is joined to the one before it."""
    timeline = {name: [*column[:2], *column[3:], column[-1] * 1.001] for name, column in TIMELINE.items()}
    (rows, *_) = (chart for chart in draw(made(dataset(run(timeline=timeline)))) if chart.section == "load")
    assert [each["seconds"] for each in rows.spec["data"]["values"]] == [0.0, 10.0, 60.0, 100.1]


def test_a_tuning_is_shown() -> None:
    """Each repeat is drawn, and the page says what was found."""
    values = (
        TunedValue("batch size", "20,000 lines", (1.0, 2.0, 3.0), "compared with"),
        TunedValue("batch size", "40,000 lines", (4.0, 5.0, 6.0), "faster"),
    )
    moment = "2024-01-02T00:00:00+00:00"
    known = Tuning(
        moment, "InfluxDB 2.9.1", "http://localhost:1", "f", "--batch-lines 40000 --compress none", 2.5, values
    )
    shown = dataset(tuning=known, projections=project_of(()))
    (chart,) = (chart for chart in draw(made(shown)) if chart.section == "tuning")
    assert [each["rate"] for each in chart.spec["data"]["values"]] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert vl_convert.vegalite_to_svg({**chart.spec, "width": 300}).count("<path") > 8
    page = render(made(shown))
    assert '2.50 times as fast as the start: <code class="flag">--batch-lines 40000</code> ' in page
    assert '<code class="flag">--compress none</code>' in page
    assert "with the dataset as it was then" not in page
    same = replace(shown, tuning=replace(known, gain=1.0, values=(), fingerprint="other"))
    assert "Nothing that was measured was faster" in render(made(same))
    assert "with the dataset as it was then" in render(made(same))
    assert not [chart for chart in draw(made(same)) if chart.section == "tuning"]


def test_load_paths_have_a_scale_of_their_own() -> None:
    """One may be ten times as fast as the other, which would press all settings together."""
    values = (
        TunedValue("connections", "3", (1.0, 2.0), "compared with"),
        TunedValue("load path", "restore", (30.0, 31.0), "faster"),
    )
    known = Tuning("2024-01-02T00:00:00+00:00", "InfluxDB 2.9.1", "http://localhost:1", "f", "", 1.0, values)
    charts = {chart.title: chart for chart in draw(made(dataset(tuning=known)))}
    for title, settings in (("Rates of each setting", {"connections: 3"}), ("Rates of each load path", {"restore"})):
        assert {row["setting"] for row in charts[title].spec["data"]["values"]} == settings


@pytest.mark.parametrize(("samples", "drawn"), [(0, False), (3, False), (4, True)])
def test_runs_of_a_moment_have_no_course(samples: int, drawn: bool) -> None:
    """With so few samples there is nothing to see over time, which the page says instead."""
    timeline = {name: column[:samples] for name, column in TIMELINE.items()}
    known = dataset(run(timeline=timeline), projections=project_of(()))
    over_time = {"Rows a second", "Processors in use by the loader", "Memory of the loader", "Requests in flight"}
    assert over_time & {chart.title for chart in draw(made(known))} == (over_time if drawn else set())
    assert ("too short for charts over time" in render(made(known))) is not drawn


@pytest.mark.parametrize(("hours", "form"), [(0.1, "%Y-%m-%d %H:%M:%S"), (5, "%Y-%m-%d %H:%M"), (24 * 30, "%Y-%m-%d")])
def test_moments_have_dates_and_24_hours(hours: float, form: str) -> None:
    """Wherever an axis shows moments."""
    starts = [datetime.fromtimestamp(number * hours * 3_600 / 3, UTC).isoformat() for number in range(4)]
    (chart,) = (
        chart for chart in draw(made(dataset(*(run(started=each) for each in starts)))) if chart.section == "runs"
    )
    assert chart.spec["encoding"]["x"]["axis"]["format"] == form
    drawn = vl_convert.vegalite_to_svg({**chart.spec, "width": 600})
    assert not re.search(r">[^<]*\b(?:AM|PM)\b", drawn)
    assert drawn.count(">1970-0") >= 2, "dates can be read"
    narrow = vl_convert.vegalite_to_svg({**chart.spec, "width": 150})
    assert narrow.count(">1970-0") >= 2, "on a telephone, too"


@pytest.mark.parametrize(
    ("size", "unit", "said"), [(900, "bytes", "900 B"), (5_000, "KiB", "4.9 KiB"), (3 << 31, "GiB", "6.0 GiB")]
)
def test_sizes_have_their_natural_unit(size: int, unit: str, said: str) -> None:
    """So bytes of a small dataset are no row of zeros."""
    known = dataset(run(size=size, payload_size=size), sample=replace(SAMPLE, columns=(("v", size),)), size=size)
    charts = {chart.title: chart for chart in draw(made(known))}
    for title in ("Bytes before and after", "Bytes by column"):
        assert charts[title].spec["encoding"]["x"]["title"] == unit
        assert all(row[unit] >= 1 for row in charts[title].spec["data"]["values"])
    assert f"sent: {said}" in charts["Bytes before and after"].description


def test_a_dataset_that_was_read_as_a_whole() -> None:
    """It is not called a sample."""
    whole = dataset(rows=1_000, projections=project_of(()))
    assert "All 1,000 rows were read" in render(made(whole))
    assert not any("sample" in chart.description for chart in draw(made(whole)))
    part = dataset(rows=1_001, partitions=2, projections=project_of(()))
    assert "A sample of 1,000 rows, spread evenly over 1 of 2" in render(made(part))
    assert any("sample of 1,000 rows" in chart.description for chart in draw(made(part)))


def test_durations_have_their_natural_unit() -> None:
    """From less than a moment to days."""
    seconds = {0.01: "under 0.1 s", 2.0: "2.0 s", 180.0: "3.0 min", 7_200.0: "2.0 h", 200_000.0: "2.3 d"}
    projections = tuple(Projection("a day", 1, {"load": each}, 1) for each in seconds)
    page = render(made(dataset(projections=projections)))
    for words in seconds.values():
        assert f">{words}<" in page


def test_why_nothing_more_is_projected() -> None:
    """The page says it, where there is no projection at all, too."""
    page = render(made(dataset(projections=project_of(()), unprojected={"stage": "it was <quick>"})))
    assert "Nothing is said of stage: it was &lt;quick&gt;." in page
    assert "Rows like these" not in page


def test_samples_of_one_moment() -> None:
    """They are no span of time, so nothing can be said of it."""
    still = {name: [1.0] * 5 for name in TIMELINE}
    (rows, *_) = (chart for chart in draw(made(dataset(run(timeline=still)))) if chart.section == "load")
    assert rows.spec["data"]["values"] == [{"seconds": 1.0, "value": 0.0}]


def test_a_resumed_load() -> None:
    """Its bytes are not those of the whole dataset, and the page says what was done before."""
    resumed = dataset(run(rows_resumed=5), projections=project_of(()))
    (chart,) = (chart for chart in draw(made(resumed)) if chart.title == "Bytes before and after")
    assert "Parquet" not in chart.description
    assert ", 5 before" in render(made(resumed))


def test_nothing_is_drawn_of_what_is_not_known() -> None:
    """A dataset without runs has the charts of its rows only, and two of them without runs are not compared."""
    bare = dataset(sample=replace(SAMPLE, columns=(), series_number=1))
    assert draw(made(bare, bare)) == []
    quiet = dataset(run(requests={}, size=0, payload_size=0), size=0)
    assert {chart.section for chart in draw(made(quiet))} == {"load", "dataset"}


def test_the_page_tells_how_runs_ended() -> None:
    """Each in a word, or in the words of its error."""
    runs = (
        run(interrupted=True),
        run(exit_code=3, error="the server is <away>", interrupted=True),
        verified(differences=2, exit_code=1),
        run(rejected=3),
        verified(unfit=4, exit_code=1),
    )
    page = render(made(dataset(*runs, projections=project_of(runs))))
    for words in (
        "interrupted",
        "failed",
        "<p>the server is &lt;away&gt;</p>",
        "2 differences",
        "3 rows rejected",
        "4 rows cannot",
    ):
        assert words in page
    assert "not yet" in page


def project_of(runs: Any) -> Any:
    """Return what more of the rows of ``runs`` would take."""
    from loader.reporting.report.projection import project

    return project(1_000_000, 1_000, 10 * DAY, runs)


def test_the_page_is_called_after_its_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that of another dataset is not written over; a page that was there is replaced, which is told."""
    monkeypatch.chdir(tmp_path)
    for name in ("hosts", "two words"):
        small_dataset(tmp_path / name)
    for name, page in (("hosts", "hosts-report.html"), ("two words", "two-words-report.html")):
        assert [write_report(ReportSettings(Path(name))).replaced for _ in range(2)] == [False, True]
        assert Path(page).exists()
        assert Path(f"{page}.json").exists()
    (tmp_path / "trips.parquet").write_text("")
    names = {"hosts/../hosts": "hosts", "trips.parquet": "trips", "hosts/*.parquet": "hosts", ".": tmp_path.name}
    for dataset_path, name in names.items():
        assert str(page_of(Path(dataset_path))) == f"{name}-report.html"
    assert str(page_of(Path("/"))) == "report.html"


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names them, and nothing is left behind."""
    small_dataset(tmp_path / "data")
    (tmp_path / "file").write_text("")
    for out, words in (("report.txt", "is no name of a page"), ("file/report.html", "cannot be written")):
        with pytest.raises(ConfigError, match=words):
            write_report(ReportSettings(tmp_path / "data"), tmp_path / out)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "file"}


def test_datasets_that_are_none(tmp_path: Path) -> None:
    """An empty manifest, or none, is an error that says what to do."""
    with pytest.raises(ConfigError):
        report(ReportSettings(tmp_path))
    write_manifest(tmp_path, replace(small_dataset(tmp_path), partitions=()))
    with pytest.raises(ConfigError, match="lists no rows"):
        report(ReportSettings(tmp_path))


def test_what_lies_where_it_was_was_never_staged() -> None:
    """The page does not miss it."""
    known = dataset(projections=project_of(()), staged=False)
    assert "Staging" not in render(made(known))
    assert "Staging" in render(made(replace(known, staged=True)))
