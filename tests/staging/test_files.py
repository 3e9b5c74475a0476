"""Points in files of others as a dataset: every kind of file, decisions about rows, reruns, and what is refused."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.feather as pf
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loader
from loader.dataset.manifest import has_manifest, read_manifest
from loader.dataset.mapping import ColumnMapping, FieldMapping
from loader.dataset.policy import Policy
from loader.dataset.reader import open_dataset
from loader.dataset.schema import Field, FieldType
from loader.errors import ConfigError, LoaderError, StageError
from loader.events import Advanced, Event, Notice, Rejected, Started
from loader.reporting.text import stage_text
from loader.staging import CsvFormat, FilesSettings, StageReport, dataset, files, points, stage_files
from loader.staging.mark import is_marked

SECOND = 10**9
DAY = 86_400 * SECOND
NEW_YEAR = 1_704_067_200 * SECOND
MAPPING = ColumnMapping("m", "t", ("host", "zone"))
TIMES = pa.array([NEW_YEAR + DAY + 1, NEW_YEAR, NEW_YEAR - 1, -1, NEW_YEAR + 5], pa.timestamp("ns", "UTC"))
TABLE = pa.table(
    {
        "host": ["b", "a", "b", "a", "a"],
        "zone": ["x", None, "x", "", "x"],
        "t": TIMES,
        "n": [1, 2, None, 4, 5],
        "f": [0.5, None, 1.5, 2.0, 3.25],
        "s": ["", "q", None, 'a,"b"', "x"],
        "o": [True, None, False, True, False],
    }
)
ROWS = [
    ("a", None, -1, 4, 2.0, 'a,"b"', True),
    ("b", "x", NEW_YEAR - 1, None, 1.5, None, False),
    ("a", None, NEW_YEAR, 2, None, "q", None),
    ("a", "x", NEW_YEAR + 5, 5, 3.25, "x", False),
    ("b", "x", NEW_YEAR + DAY + 1, 1, 0.5, "", True),
]
"""The rows of TABLE in the order of a dataset; an empty tag is none."""
DAYS = ["1969-12-31", "2023-12-31", "2024-01-01", "2024-01-02"]


def staged(
    tmp_path: Path, *sources: Path | str, mapping: ColumnMapping | None = MAPPING, **options: Any
) -> StageReport:
    """Stage files below ``tmp_path`` into its folder "out"."""
    observe = options.pop("observe", lambda event: None)
    paths = tuple(tmp_path / source for source in sources)
    # One thread reads where coverage sees it.
    options = {"workers": 1, **options}
    return stage_files(FilesSettings(tmp_path / "out", paths, mapping, **options), observe)


def stored(root: Path) -> list[tuple[Any, ...]]:
    """Return all rows of a dataset in its order, with times as integers; empty tags as none."""
    manifest = open_dataset(root)
    rows: list[tuple[Any, ...]] = []
    for partition in manifest.partitions:
        schema = manifest.schema_of(partition.path)
        table = pq.read_table(root / partition.path, partitioning=None)
        assert table.schema.names == list(schema.columns)
        times = table[schema.time].cast(pa.int64()).to_pylist()
        assert (min(times), max(times), len(times)) == (partition.time_min, partition.time_max, partition.rows)
        assert is_marked(root, partition.path)
        columns = [[value or None for value in table[tag].to_pylist()] for tag in schema.tags]
        rows += zip(*columns, times, *(table[field.column].to_pylist() for field in schema.fields), strict=True)
    return rows


def put_csv(path: Path) -> None:
    """Write TABLE as CSV, in which only a quoted empty text is none."""
    with path.open("wb") as file:
        pc.write_csv(TABLE.set_column(2, "t", TIMES.cast(pa.timestamp("ns"))), file)


def put_stream(path: Path) -> None:
    """Write TABLE as a stream of Arrow."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, TABLE.schema) as writer:
        writer.write_table(TABLE)
        writer.write_batch(TABLE.to_batches()[0].slice(0, 0))


KINDS: dict[str, Callable[[Path], object]] = {
    "x.parquet": lambda path: pq.write_table(TABLE, path),
    "x.arrow": put_stream,
    "x.feather": lambda path: pf.write_feather(TABLE, str(path)),
    "x.csv": put_csv,
    "x.csv.gz": lambda path: (put_csv(path.with_suffix("")), gzip_file(path)),
}


def gzip_file(path: Path) -> None:
    """Compress the file of this name without its suffix, and remove it."""
    plain = path.with_suffix("")
    path.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()


@pytest.mark.parametrize("name", list(KINDS))
def test_every_kind_of_table(tmp_path: Path, name: str) -> None:
    """Each becomes the same dataset: a partition a day, rows by tags and time, types as they load best."""
    KINDS[name](tmp_path / name)
    mapping = ColumnMapping("m", "t", ("host", "zone"), policy=Policy("UTC"))
    events: list[Event] = []
    report = staged(tmp_path, name, mapping=mapping, observe=events.append)
    assert stored(tmp_path / "out") == ROWS
    assert (report.rows, report.partitions, report.measurements, report.rows_rejected) == (5, 4, {"m": 5}, 0)
    manifest = read_manifest(tmp_path / "out")
    assert [part.path for part in manifest.partitions] == [f"measurement=m/date={day}/points.parquet" for day in DAYS]
    assert manifest.distinct
    assert manifest.complete
    assert manifest.schema.fields == tuple(
        Field(*pair) for pair in zip("nfso", map(FieldType, ("integer", "float", "string", "boolean")), strict=True)
    )
    assert Started("stage", 5) in events
    assert sum(event.rows for event in events if isinstance(event, Advanced)) == 5
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


LINES = f"""# a comment
cpu,host=b usage=1.5,n=1i {NEW_YEAR + 5}
cpu,host=b n=2u,s="x" {NEW_YEAR}
mem,host=a,zone=x free=1i {NEW_YEAR - 1}
cpu usage=2 {NEW_YEAR}
cpu,host=b usage=7 {NEW_YEAR + 5}
mem,zone=x,host=a used=t {NEW_YEAR - 1}
"""


def test_compiling_is_no_part_of_the_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is done once on a machine, so it would say nothing of the next staging."""
    monkeypatch.setattr(files, "compile_line_decoder", lambda: time.sleep(3.0))
    (tmp_path / "x.lp").write_text("m v=1i 1\n")
    began = time.monotonic()
    seconds = staged(tmp_path, "x.lp", mapping=None).seconds
    assert time.monotonic() - began >= 3.0 + seconds


def test_line_protocol(tmp_path: Path) -> None:
    """Measurements have their own columns; lines of one identity become one row, whatever the order of their tags."""
    (tmp_path / "x.lp").write_text(LINES.replace("n=2u", "n=2i"))
    report = staged(tmp_path, "x.lp", mapping=None, on_duplicate="last")
    assert (report.rows, report.measurements, report.values_superseded) == (4, {"cpu": 3, "mem": 1}, 1)
    assert stored(tmp_path / "out") == [
        ("a", "x", NEW_YEAR - 1, 1, True),
        (None, NEW_YEAR, 2.0, None, None),
        ("b", NEW_YEAR, None, 2, "x"),
        ("b", NEW_YEAR + 5, 7.0, 1, None),
    ]
    assert read_manifest(tmp_path / "out").measurements[1].schema.tags == ("host", "zone")


@pytest.mark.parametrize(("unit", "factor"), [("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)])
def test_the_unit_of_lines(tmp_path: Path, unit: str, factor: int) -> None:
    """Times are in the unit that is said."""
    (tmp_path / "x.txt").write_text("m v=1 7\n")
    staged(tmp_path, "x.txt", mapping=None, time_unit=unit)
    assert stored(tmp_path / "out") == [(7 * factor, 1.0)]


def test_a_field_that_changes_its_type(tmp_path: Path) -> None:
    """The error names both lines, and the file of the first."""
    (tmp_path / "1.lp").write_text("m v=1i 1\n")
    (tmp_path / "2.lp").write_text("\nm v=1 1\n")
    with pytest.raises(StageError, match=r"2\.lp, line 2, column 3: .*float.*1\.lp") as caught:
        staged(tmp_path, "1.lp", "2.lp", mapping=None)
    assert "--on-bad-line skip" in caught.value.hint
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_bad_lines_are_skipped_on_demand(tmp_path: Path) -> None:
    """They are kept with file, line, column and reason, and counted; more than allowed end the stage."""
    (tmp_path / "x.lp").write_bytes(b"m v=1 1\nm v=x 2\nm v=\xff 3\nm v=2 4")
    events: list[Event] = []
    report = staged(tmp_path, "x.lp", mapping=None, on_bad_line="skip", observe=events.append)
    assert (report.rows, report.rows_rejected) == (2, 2)
    entries = [json.loads(line) for line in Path(report.rejected_path).read_text().splitlines()]
    assert [(entry["line"], entry["column"], entry["text"]) for entry in entries] == [
        (2, 5, "m v=x 2"),
        (3, 5, "m v=\\xff 3"),
    ]
    assert report.first_rejected.startswith(f"{tmp_path}/x.lp, line 2: ")
    assert sum(event.rows for event in events if isinstance(event, Rejected)) == 2
    with pytest.raises(StageError, match="2 rows were rejected, more than the 1 allowed"):
        staged(tmp_path, "x.lp", mapping=None, on_bad_line="skip", max_rejected=1, overwrite=True)


def test_rows_that_cannot_be_points_are_rejected(tmp_path: Path) -> None:
    """They are kept with the file and row that is meant, whatever the kind of file."""
    table = TABLE.set_column(4, "f", pa.array([float("inf"), 1.0, 1.0, 1.0, 1.0]))
    pf.write_feather(table, str(tmp_path / "x.feather"))
    report = staged(tmp_path, "x.feather")
    assert (report.rows, report.rows_rejected) == (4, 1)
    (entry,) = [json.loads(line) for line in Path(report.rejected_path).read_text().splitlines()]
    assert (entry["partition"], entry["row"], entry["column"]) == (f"{tmp_path}/x.feather", 0, "f")
    assert report.first_rejected.startswith(f"{tmp_path}/x.feather, row 0, column 'f': inf")


def test_nothing_is_left_of_rows_that_are_no_points(tmp_path: Path) -> None:
    """A source of nothing else is an error that names the rejected file."""
    pq.write_table(pa.table({"t": TIMES[:1], "n": pa.array([None], pa.int64())}), tmp_path / "x.parquet")
    with pytest.raises(StageError, match="no row is a point") as caught:
        staged(tmp_path, "x.parquet", mapping=ColumnMapping("m", "t"))
    assert "stage.jsonl" in caught.value.hint


def test_measurements_of_a_column(tmp_path: Path) -> None:
    """Each value is a measurement with the columns that have values there."""
    table = pa.table(
        {
            "kind": ["b/c", "a", "a", "b/c"],
            "host": ["x", "y", None, "y"],
            "rack": ["1", None, None, None],
            "t": TIMES[:4],
            "n": [1, 2, 3, None],
            "f": [0.5, None, None, 1.5],
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    mapping = ColumnMapping("", "t", ("host", "rack"), measurement_column="kind")
    report = staged(tmp_path, "x.parquet", mapping=mapping)
    assert [*report.measurements] == ["a", "b/c"]
    first, second = (part.schema for part in read_manifest(tmp_path / "out").measurements)
    assert (first.tags, [field.column for field in first.fields]) == (("host",), ["n"])
    assert (second.tags, [field.column for field in second.fields]) == (("host", "rack"), ["n", "f"])
    assert (tmp_path / "out" / "measurement=b%2Fc").is_dir()
    for values in (["", "a"], [None, "a"]):
        pq.write_table(pa.table({"kind": values, "t": TIMES[:2], "n": [1, 2]}), tmp_path / "y.parquet")
        mapping = ColumnMapping("", "t", measurement_column="kind")
        with pytest.raises(ConfigError, match=r"y\.parquet row 0: column 'kind' names no measurement"):
            staged(tmp_path, "y.parquet", mapping=mapping, overwrite=True)


def test_duplicates_are_refused_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of the dataset, so that the next command may decide."""
    for name in ("1.parquet", "2.parquet"):
        pq.write_table(TABLE.take([0, 1, 4]), tmp_path / name)
    with pytest.raises(
        ConfigError, match=r"10 values belong .*1\.parquet row 1 and .*2\.parquet row 1 \(2024-01-01T00"
    ):
        staged(tmp_path, "1.parquet", "2.parquet")
    assert not list((tmp_path / "out").rglob("*.parquet"))
    monkeypatch.setattr(dataset, "_SAVE_SECONDS", -1.0)
    pq.write_table(TABLE.take([3]), tmp_path / "0.parquet")
    with pytest.raises(ConfigError, match="10 values belong"):
        staged(tmp_path, "0.parquet", "1.parquet", "2.parquet")
    assert not list((tmp_path / "out").rglob("*.parquet"))
    assert not has_manifest(tmp_path / "out")
    report = staged(tmp_path, "1.parquet", "2.parquet", on_duplicate="nudge")
    assert (report.rows, report.rows_moved) == (6, 3)
    wanted = [(*row[:2], row[2] + moved, *row[3:]) for row in ROWS[2:] for moved in (0, 1)]
    assert stored(tmp_path / "out") == wanted
    text = stage_text(report)
    assert "3 rows moved" in text
    report = staged(tmp_path, "1.parquet", "2.parquet", on_duplicate="last", overwrite=True)
    assert "10 values left out" in stage_text(report)
    assert stored(tmp_path / "out") == ROWS[2:]


def test_a_dataset_is_kept_as_long_as_its_sources_are(tmp_path: Path) -> None:
    """The same command keeps all of it; other settings or files are refused, or replace it on demand."""
    put_csv(tmp_path / "x.csv")
    mapping = ColumnMapping("m", "t", ("host", "zone"), policy=Policy("UTC"))
    first = staged(tmp_path, "x.csv", mapping=mapping)
    again = staged(tmp_path, "x.csv", mapping=mapping)
    assert (again.partitions_kept, again.fingerprint) == (4, first.fingerprint)
    known = loader.dataset.mapping.read_mapping(tmp_path / "out" / "points.toml")
    assert known.fields[0] == FieldMapping("n", "n", FieldType.INTEGER)
    assert staged(tmp_path, "x.csv", mapping=known).partitions_kept == 4
    (tmp_path / "out" / "points.toml").write_text("of the user\n")
    with pytest.raises(ConfigError, match="staged with other settings: on_duplicate"):
        staged(tmp_path, "x.csv", mapping=mapping, on_duplicate="last")
    assert staged(tmp_path, "x.csv", mapping=mapping, on_duplicate="last", overwrite=True).partitions_kept == 0
    assert (tmp_path / "out" / "points.toml").read_text() == "of the user\n"
    put_csv(tmp_path / "x.csv")
    with pytest.raises(ConfigError, match=r"staged from other files: .*x\.csv' has changed since"):
        staged(tmp_path, "x.csv", mapping=mapping, on_duplicate="last")


def test_what_a_run_finished_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends early leaves whole partitions, which the next one writes again only where none lists them."""
    KINDS["x.parquet"](tmp_path / "x.parquet")
    monkeypatch.setattr(dataset, "_SAVE_SECONDS", 0.0)
    seen: list[Event] = []

    def ending(event: Event) -> None:
        seen.append(event)
        if sum(isinstance(each, Advanced) for each in seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        staged(tmp_path, "x.parquet", observe=ending)
    manifest = read_manifest(tmp_path / "out")
    assert (len(manifest.partitions), manifest.complete) == (3, False)
    with pytest.raises(StageError, match="staging did not finish"):
        open_dataset(tmp_path / "out")
    (tmp_path / "out" / manifest.partitions[0].path).unlink()
    assert staged(tmp_path, "x.parquet").partitions_kept == 2
    assert stored(tmp_path / "out") == ROWS


def stopping(number: int) -> Callable[[Event], None]:
    """Return an observer that stops a run when its ``number``-th partition is finished."""
    seen: list[Event] = []

    def observe(event: Event) -> None:
        seen.append(event)
        if sum(isinstance(each, Advanced) for each in seen) == number:
            raise KeyboardInterrupt

    return observe


def test_a_stop_at_once_is_no_loss(tmp_path: Path) -> None:
    """A run that was stopped before any list of partitions was due goes on, and one that sorts keeps that list."""
    KINDS["x.parquet"](tmp_path / "x.parquet")
    for number in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            staged(tmp_path, "x.parquet", observe=stopping(number))
    manifest = read_manifest(tmp_path / "out")
    assert (manifest.complete, manifest.measurements[0].schema.measurement) == (False, "m")
    assert staged(tmp_path, "x.parquet").rows == 5
    assert stored(tmp_path / "out") == ROWS


def test_what_is_listed_stays_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run that is stopped earlier than the first one forgets nothing of what that one finished."""
    KINDS["x.parquet"](tmp_path / "x.parquet")
    monkeypatch.setattr(dataset, "_SAVE_SECONDS", -1.0)
    for number in (3, 1):
        with pytest.raises(KeyboardInterrupt):
            staged(tmp_path, "x.parquet", observe=stopping(number))
        assert len(read_manifest(tmp_path / "out").partitions) == 3
    assert staged(tmp_path, "x.parquet").partitions_kept == 3


def test_a_dataset_stays_until_its_successor_is_read(tmp_path: Path) -> None:
    """A stage that replaces it, and whose sources cannot be points, leaves it as it is."""
    KINDS["x.parquet"](tmp_path / "x.parquet")
    staged(tmp_path, "x.parquet")
    before = read_manifest(tmp_path / "out")
    pq.write_table(TABLE.set_column(4, "f", pa.array([float("nan")] * 5)), tmp_path / "y.parquet")
    with pytest.raises(StageError, match="5 rows were rejected"):
        staged(tmp_path, "y.parquet", overwrite=True, max_rejected=0)
    pq.write_table(TABLE.drop(["t"]), tmp_path / "z.parquet")
    with pytest.raises(ConfigError, match="no column 't'"):
        staged(tmp_path, "z.parquet", overwrite=True)
    assert read_manifest(tmp_path / "out") == before
    assert stored(tmp_path / "out") == ROWS


def test_a_source_that_changes_meanwhile(tmp_path: Path) -> None:
    """Nothing is left of a dataset whose source is not what it was, or is gone, at the end."""
    KINDS["x.parquet"](tmp_path / "x.parquet")

    def changing(event: Event) -> None:
        if isinstance(event, kind):
            pq.write_table(TABLE.slice(1), tmp_path / "x.parquet")

    kind: type[Event] = Advanced
    with pytest.raises(ConfigError, match=rf"^{tmp_path}/x\.parquet: changed while it was staged"):
        staged(tmp_path, "x.parquet", observe=changing)
    KINDS["x.parquet"](tmp_path / "x.parquet")
    kind = Started
    with pytest.raises(StageError, match=rf"^{tmp_path}/x\.parquet: holds 4 rows") as caught:
        staged(tmp_path, "x.parquet", observe=changing)
    assert "was changed just now" in caught.value.hint
    KINDS["x.arrow"](tmp_path / "x.arrow")
    KINDS["x.arrow"](tmp_path / "y.arrow")

    def removing(event: Event) -> None:
        for name in ("x.arrow", "y.arrow"):
            (tmp_path / name).unlink(missing_ok=True)

    with pytest.raises(ConfigError, match=r"x\.arrow and 1 more: changed while it was staged"):
        staged(tmp_path, "x.arrow", "y.arrow", on_duplicate="last", observe=removing)
    assert not list((tmp_path / "out").rglob("*.parquet"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".loader"]


def test_nothing_is_left_of_what_cannot_be_finished(tmp_path: Path) -> None:
    """An error amid a partition leaves no file, no folder and no manifest, so that the next command may decide."""
    count = 270_000
    times = pa.array([NEW_YEAR, *range(NEW_YEAR + DAY - count, NEW_YEAR + DAY), NEW_YEAR + DAY - 1])
    table = pa.table({"t": times.cast(pa.timestamp("ns", "UTC")), "n": range(count + 2)})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match=r"x\.parquet row 270,001: no nanosecond of its day is left"):
        staged(tmp_path, "x.parquet", mapping=ColumnMapping("m", "t"), on_duplicate="nudge")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".loader"]
    assert staged(tmp_path, "x.parquet", mapping=ColumnMapping("m", "t"), on_duplicate="last").rows == count + 1


def test_an_empty_tag_is_none(tmp_path: Path) -> None:
    """Rows with an empty tag and rows with a null one are of one series: they are duplicates, and come in order."""
    times = [NEW_YEAR + 2, NEW_YEAR + 1, NEW_YEAR + 3, NEW_YEAR + 1]
    table = pa.table({"host": ["", None, None, ""], "t": pa.array(times, pa.timestamp("ns", "UTC")), "n": [1, 2, 3, 4]})
    pq.write_table(table, tmp_path / "x.parquet")
    mapping = ColumnMapping("m", "t", ("host",))
    with pytest.raises(ConfigError, match="1 value belongs to a row with the same series and time"):
        staged(tmp_path, "x.parquet", mapping=mapping)
    staged(tmp_path, "x.parquet", mapping=mapping, on_duplicate="last")
    found = stored(tmp_path / "out")
    assert found == [(None, NEW_YEAR + 1, 4), (None, NEW_YEAR + 2, 1), (None, NEW_YEAR + 3, 3)]


def test_one_file_of_two_names_is_read_once(tmp_path: Path) -> None:
    """A link to a file, and another way to it, are that file."""
    put_csv(tmp_path / "x.csv")
    (tmp_path / "y.csv").symlink_to(tmp_path / "x.csv")
    mapping = ColumnMapping("m", "t", ("host", "zone"), policy=Policy("UTC"))
    assert staged(tmp_path, "x.csv", "y.csv", f"../{tmp_path.name}/x.csv", mapping=mapping).rows == 5


def test_files_without_rows_are_left_out(tmp_path: Path) -> None:
    """A header alone says nothing of types; such a file is mentioned, and others are staged."""
    (tmp_path / "1.csv").write_text("t,n\n")
    (tmp_path / "2.CSV.GZ").write_bytes(gzip.compress(b"t,n\n2024-01-01T00:00:00Z,1\n"))
    events: list[Event] = []
    assert staged(tmp_path, "1.csv", "2.CSV.GZ", mapping=ColumnMapping("m", "t"), observe=events.append).rows == 1
    assert Notice(f"{tmp_path}/1.csv: has no rows, and is left out") in events


def test_keys_of_paths_are_tags_of_csv(tmp_path: Path) -> None:
    """A folder such as host=a says the tag of its files, whatever they are."""
    for host in ("a", "b"):
        (tmp_path / "in" / f"host={host}").mkdir(parents=True)
        (tmp_path / "in" / f"host={host}" / "x.csv").write_text("t,n\n2024-01-01T00:00:00Z,1\n")
    staged(tmp_path, "in", mapping=ColumnMapping("m", "t", ("host",)))
    assert stored(tmp_path / "out") == [("a", NEW_YEAR, 1), ("b", NEW_YEAR, 1)]


def test_what_no_manifest_lists_goes(tmp_path: Path) -> None:
    """Files of ours that are no part of the dataset are removed at the end; those of others are never touched."""
    pq.write_table(TABLE, tmp_path / "x.parquet")
    staged(tmp_path, "x.parquet")
    left = tmp_path / "out" / "measurement=m" / "date=2020-01-01" / "points.parquet"
    left.parent.mkdir()
    left.write_bytes((tmp_path / "out" / "measurement=m" / "date=2024-01-01" / "points.parquet").read_bytes())
    (tmp_path / "out" / ".loader" / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="holds Parquet that the loader did not stage"):
        staged(tmp_path, "x.parquet")
    pq.write_table(TABLE, left)
    with pytest.raises(ConfigError, match="holds Parquet that the loader did not stage"):
        staged(tmp_path, "x.parquet", overwrite=True)


def test_temporary_files_are_where_they_should(tmp_path: Path) -> None:
    """They lie in the folder that is named, and go in any case; what a killed run left goes first."""
    (tmp_path / "x.lp").write_text("m v=1 1\nm v=1i 2\n")
    (tmp_path / "temp").mkdir()
    seen: list[list[Path]] = []
    observe = lambda event: seen.append(list((tmp_path / "temp").iterdir()))  # noqa: E731
    with pytest.raises(StageError):
        staged(tmp_path, "x.lp", mapping=None, temporary=tmp_path / "temp", observe=observe)
    assert list((tmp_path / "temp").iterdir()) == []
    (tmp_path / "y.lp").write_text("m v=1 1\n")
    staged(tmp_path, "y.lp", mapping=None, temporary=tmp_path / "temp", observe=observe)
    ((folder,),) = {tuple(each) for each in seen}
    (folder / "left").mkdir(parents=True)
    staged(tmp_path, "y.lp", mapping=None, temporary=tmp_path / "temp", overwrite=True)
    assert list((tmp_path / "temp").iterdir()) == []


def test_large_partitions_are_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole row groups are written as they come, by rows or by bytes, and hold the rows in order."""
    monkeypatch.setattr(points, "GROUP_ROWS", 1_000)
    times = pa.array([NEW_YEAR + number for number in range(5_500, 0, -1)], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"t": times, "s": ["x" * 100] * 5_500}), tmp_path / "x.parquet")
    staged(tmp_path, "x.parquet", mapping=ColumnMapping("m", "t"))
    (path,) = (tmp_path / "out").rglob("*.parquet")
    assert [pq.ParquetFile(path).metadata.row_group(number).num_rows for number in range(6)] == [1_000] * 5 + [500]
    assert [row[0] for row in stored(tmp_path / "out")] == [NEW_YEAR + number for number in range(1, 5_501)]
    monkeypatch.setattr(points, "GROUP_BYTES", 10_000)
    staged(tmp_path, "x.parquet", mapping=ColumnMapping("m", "t"), overwrite=True)
    assert len(stored(tmp_path / "out")) == 5_500


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(5)), st.integers(1, 3))
def test_the_content_is_that_of_the_sources(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], workers: int
) -> None:
    """Neither the order of rows with different identities nor the number of threads changes a file."""
    root = tmp_path_factory.mktemp("same")
    pq.write_table(TABLE.take(order), root / "x.parquet")
    staged(root, "x.parquet", workers=workers, compression="none")
    found = {each.path: each.checksum for each in read_manifest(root / "out").partitions}
    pq.write_table(TABLE, root / "x.parquet")
    staged(root, "x.parquet", overwrite=True, compression="none")
    assert found == {each.path: each.checksum for each in read_manifest(root / "out").partitions}


def in_folder(name: str) -> Callable[[Path], Any]:
    """Return what writes a file into a folder of this name."""

    def write(root: Path) -> None:
        (root / name).mkdir()
        (root / name / "x.csv").write_text("t,n\n1,2\n")

    return write


def written(content: bytes | str, name: str = "x.csv") -> Callable[[Path], Any]:
    """Return what writes a file."""

    def write(root: Path) -> None:
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


@pytest.mark.parametrize(
    ("write", "sources", "options", "message"),
    [
        (lambda root: None, ["none.csv"], {}, "none.csv: no such file"),
        (lambda root: (root / "in").mkdir(), ["in"], {}, "in: no file here that is known"),
        (lambda root: None, ["*.lp"], {}, r"\*\.lp: no file matches this pattern"),
        (written("", "x.json"), ["x.json"], {}, "x.json: what it holds is not known"),
        (written("", "x.parquet.gz"), ["x.parquet.gz"], {}, "what it holds is not known"),
        (
            lambda root: (root / "x=%ff").mkdir() or written("t,n\n1,2\n", "x=%ff/x.csv")(root),
            ["x=%ff"],
            {},
            "can't decode",
        ),
        (lambda root: None, ["a**b.csv"], {}, r"a\*\*b.csv: Invalid pattern"),
        (written("", "x.csv"), ["x.csv"], {}, "x.csv: has no rows"),
        (written("t,n\n", "x.csv"), ["x.csv"], {}, "x.csv: has no rows"),
        (
            written("t,n\n2024-01-01,1,2\n"),
            ["x.csv"],
            {},
            "x.csv, row 0: has 3 columns, and the header 2: '2024-01-01,1,2'",
        ),
        (written(b"t,n\n2024-01-01,\xff\n"), ["x.csv"], {}, "x.csv: column 'n' is not text in UTF-8"),
        (written("t,n,n\n2024-01-01,1,2\n"), ["x.csv"], {}, "x.csv: two columns are called 'n'"),
        (written("t,n\nyesterday,1\n"), ["x.csv"], {}, "row 0, column 't': 'yesterday' is no time of nanoseconds"),
        (written("u,n\n2024-01-01,1\n"), ["x.csv"], {}, "there is no column 't', named as time"),
        (written("x", "x.parquet"), ["x.parquet"], {}, "x.parquet: cannot be read as Parquet"),
        (written("x", "x.arrow"), ["x.arrow"], {}, "x.arrow: cannot be read"),
        (written("m v=1 1", "x.lp"), ["x.lp"], {}, "line protocol knows its measurements"),
        (written("m v=1 1", "x.lp"), ["x.lp"], {"mapping": None, "time_unit": "h"}, "time unit 'h'"),
        (written("m v=1 1", "x.lp"), ["x.lp"], {"mapping": None, "on_bad_line": "keep"}, "on bad line 'keep'"),
        (written("m v=1 1", "x.lp"), ["x.lp"], {"mapping": None, "on_duplicate": "first"}, "on duplicate 'first'"),
        (written("m v=1 1", "x.lp"), ["x.lp"], {"mapping": None, "workers": 0}, "workers: 0"),
        (written("m v=1 1", "x.lp"), ["x.lp"], {"mapping": None, "max_rejected": -1}, "max rejected: -1"),
        (written("m v=1 1", "x.lp"), ["x.lp"], {"mapping": None, "compression": "zip"}, "compression 'zip'"),
        (written("t,n\n1,1\n"), ["x.csv"], {"mapping": None}, "which columns are tags, fields and time is not known"),
        (
            lambda root: (written("m v=1 1", "x.lp")(root), written("t,n\n")(root)),
            ["x.lp", "x.csv"],
            {},
            "line protocol and tables together",
        ),
        (written("m,a=1 a=1 1", "x.lp"), ["x.lp"], {"mapping": None}, "'a' is a tag and a field"),
        (
            written('# CONTEXT-DATABASE:a\nm v="# CONTEXT-DATABASE:c" 1\n# CONTEXT-DATABASE:b\n', "x.lp"),
            ["x.lp"],
            {"mapping": None},
            "they are of different databases",
        ),
        (
            written("# CONTEXT-RETENTION-POLICY:a\n # x\n# CONTEXT-RETENTION-POLICY:b\n", "x.lp"),
            ["x.lp"],
            {"mapping": None},
            "they are of different retention policies",
        ),
    ],
)
def test_what_is_refused(
    tmp_path: Path, write: Callable[[Path], Any], sources: list[str], options: dict[str, Any], message: str
) -> None:
    """It is an error that says what, where, and what to do; no partition and no temporary file is left."""
    write(tmp_path)
    options = {"mapping": ColumnMapping("m", "t"), **options}
    with pytest.raises(LoaderError, match=message) as caught:
        staged(tmp_path, *sources, **options)
    assert isinstance(caught.value, ConfigError)
    assert caught.value.hint
    assert not list((tmp_path / "out").rglob("*.parquet"))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_value_that_does_not_fit(tmp_path: Path) -> None:
    """A value of CSV beyond the sample, and one of Parquet that its field cannot hold, are told with their file."""
    rows = "".join(f"2024-01-01T00:00:{number % 60:02},{number}\n" for number in range(1_000_000))
    (tmp_path / "x.csv").write_text("t,n\n" + rows + "2024-01-01,x\n")
    with pytest.raises(ConfigError, match=r"x\.csv, row 1,000,000, column 'n': 'x' is no int64, as"):
        staged(tmp_path, "x.csv", mapping=ColumnMapping("m", "t", policy=Policy("UTC")))
    big = pa.array([2**63], pa.uint64())
    pq.write_table(pa.table({"t": TIMES[:1], "n": big}), tmp_path / "y.parquet")
    mapping = ColumnMapping("m", "t", (), (FieldMapping("n", "n", FieldType.INTEGER),))
    with pytest.raises(LoaderError, match=rf"{tmp_path}/y\.parquet, row 0, column 'n': 9223372036854775808 is beyond"):
        staged(tmp_path, "y.parquet", mapping=mapping)


def test_folders_and_patterns(tmp_path: Path) -> None:
    """A folder's files that are known are taken, those that begin with a dot or underscore are not."""
    for name in ("a/1.lp", "a/b/2.txt", "a/_3.lp", "a/.4.lp", "a/notes.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"m,f={path.stem} v=1 1\n")
    assert staged(tmp_path, "a", mapping=None).rows == 2
    assert staged(tmp_path, "a/*/*.txt", "a/1.lp", "a/1.lp", mapping=None, overwrite=True).rows == 2


def test_texts_of_csv_are_as_they_stand(tmp_path: Path) -> None:
    """Tags keep their zeros, NA is a text, only what is empty is none, and times may gain digits behind the sample."""
    (tmp_path / "x.csv").write_text('t,id,s\n2024-01-01T00:00:00Z,007,NA\n2024-01-01T00:00:00.000000001Z,007,""\n')
    staged(tmp_path, "x.csv", mapping=ColumnMapping("m", "t", ("id",)))
    assert stored(tmp_path / "out") == [("007", NEW_YEAR, "NA"), ("007", NEW_YEAR + 1, "")]


def test_notebooks_read_it(tmp_path: Path) -> None:
    """Polars reads the dataset with measurement and day as columns."""
    pq.write_table(TABLE, tmp_path / "x.parquet")
    staged(tmp_path, "x.parquet")
    frame = pl.read_parquet(tmp_path / "out" / "**" / "*.parquet", hive_partitioning=True)
    assert set(frame["measurement"]) == {"m"}
    assert {str(day) for day in frame["date"]} == set(DAYS)


@pytest.mark.parametrize("rows", [1_000, 2_000])
def test_a_partition_of_whole_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """A day whose last row ends a row group is as good as any."""
    monkeypatch.setattr(points, "GROUP_ROWS", 1_000)
    times = pa.array([NEW_YEAR + number for number in range(rows)], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"t": times, "n": range(rows)}), tmp_path / "x.parquet")
    assert staged(tmp_path, "x.parquet", mapping=ColumnMapping("m", "t")).rows == rows
    assert [row[1] for row in stored(tmp_path / "out")] == list(range(rows))


def test_the_result_is_no_source(tmp_path: Path) -> None:
    """What lies in the folder of the result is left alone, or refused when nothing else is named."""
    put_csv(tmp_path / "x.csv")
    mapping = ColumnMapping("m", "t", ("host", "zone"), policy=Policy("UTC"))
    sources = (tmp_path,)
    settings = FilesSettings(tmp_path / "out", sources, mapping, workers=1)
    first = stage_files(settings)
    assert stage_files(settings).partitions_kept == first.partitions
    for source in (tmp_path / "out", tmp_path / "out" / name_of(tmp_path / "out")):
        with pytest.raises(ConfigError, match=r"lies in .*out, where the result is to be"):
            stage_files(FilesSettings(tmp_path / "out", (source,), MAPPING, overwrite=True))
    assert stored(tmp_path / "out") == ROWS


def name_of(root: Path) -> str:
    """Return the path of the first partition of a dataset."""
    return read_manifest(root).partitions[0].path


def test_a_dataset_of_other_days_is_replaced(tmp_path: Path) -> None:
    """Days and measurements that are in the old dataset only are gone, and nothing but the new one is left."""
    KINDS["x.parquet"](tmp_path / "x.parquet")
    staged(tmp_path, "x.parquet")
    pq.write_table(TABLE.take([1, 4]), tmp_path / "y.parquet")
    staged(tmp_path, "y.parquet", overwrite=True)
    assert stored(tmp_path / "out") == [ROWS[2], ROWS[3]]
    staged(tmp_path, "y.parquet", mapping=replace(MAPPING, measurement="other"), overwrite=True)
    assert len(list((tmp_path / "out").rglob("*.parquet"))) == len(read_manifest(tmp_path / "out").partitions) == 1
    assert not (tmp_path / "out" / ".next").exists()


def test_a_dataset_stays_until_its_successor_is_whole(tmp_path: Path) -> None:
    """Duplicates, which are known when all was sorted, and a stop leave the one that is there; leftovers go."""
    KINDS["x.parquet"](tmp_path / "x.parquet")
    staged(tmp_path, "x.parquet")
    pq.write_table(pa.concat_tables([TABLE, TABLE]), tmp_path / "y.parquet")
    with pytest.raises(ConfigError, match="values belong to rows with the same series and time"):
        staged(tmp_path, "y.parquet", overwrite=True)

    def stopping(event: Event) -> None:
        if isinstance(event, Advanced):
            raise KeyboardInterrupt

    (tmp_path / "out" / ".next" / "measurement=m").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        staged(tmp_path, "y.parquet", on_duplicate="last", overwrite=True, observe=stopping)
    assert not (tmp_path / "out" / ".next").exists()
    assert stored(tmp_path / "out") == ROWS
    assert staged(tmp_path, "x.parquet").partitions_kept == 4


def test_points_toml_is_that_of_the_dataset(tmp_path: Path) -> None:
    """A dataset that replaces another brings its own, unless the user has changed it; odd names have none."""
    put_csv(tmp_path / "x.csv")
    mapping = ColumnMapping("m", "t", ("host", "zone"), policy=Policy("UTC"))
    path = tmp_path / "out" / "points.toml"
    staged(tmp_path, "x.csv", mapping=mapping)
    staged(tmp_path, "x.csv", mapping=replace(mapping, measurement="other"), overwrite=True)
    assert loader.dataset.mapping.read_mapping(path).measurement == "other"
    assert staged(tmp_path, "x.csv", mapping=loader.dataset.mapping.read_mapping(path)).partitions_kept == 4
    (tmp_path / "y.csv").write_text("t,a=b\n2024-01-01,1\n")
    seen: list[Event] = []
    odd = ColumnMapping("m", "t", policy=Policy("UTC"))
    staged(tmp_path, "y.csv", mapping=odd, overwrite=True, observe=seen.append)
    assert not path.exists()
    assert any(isinstance(event, Notice) and "repeat the flags" in event.message for event in seen)
    damaged = tmp_path / "out" / ".loader" / "manifest.json"
    damaged.write_text("{}")
    staged(tmp_path, "x.csv", mapping=mapping, overwrite=True)
    assert loader.dataset.mapping.read_mapping(path).measurement == "m"


@pytest.mark.parametrize(("name", "words"), [("#d", "has no line-protocol form"), ("日" * 28, "too long for a folder")])
def test_measurements_that_cannot_be(tmp_path: Path, name: str, words: str) -> None:
    """A measurement that no server takes, or no folder, is refused before anything is left of it."""
    pq.write_table(pa.table({"t": TIMES[:2], "k": ["a", name], "n": [1, 2]}), tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match=words):
        staged(tmp_path, "x.parquet", mapping=ColumnMapping("", "t", measurement_column="k"))
    assert list((tmp_path / "out").rglob("*.parquet")) == []


def test_arrow_that_is_damaged(tmp_path: Path) -> None:
    """Offsets beyond the texts are refused: reading there would end the process."""
    path = tmp_path / "x.arrow"
    table = pa.table({"t": pa.array([1, 2, 3]), "s": ["a", "b", "c"]})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    offsets = b"".join(number.to_bytes(4, "little") for number in range(4))
    path.write_bytes(path.read_bytes().replace(offsets, b"\0\0\0\0\xff\xff\xff\x6f" + offsets[8:]))
    with pytest.raises(ConfigError, match=r"x\.arrow: cannot be read: "):
        staged(tmp_path, path, mapping=ColumnMapping("m", "t", time_unit="s"))


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """Files of a folder whose names are not known are named, three of them at most."""
    put_csv(tmp_path / "X.CSV")
    for name in ("a.csv.bz2", "b.tab", "c.zip", "d.md"):
        (tmp_path / name).write_text("")
    seen: list[Event] = []
    mapping = ColumnMapping("m", "t", ("host", "zone"), policy=Policy("UTC"))
    stage_files(FilesSettings(tmp_path / "out", (tmp_path,), mapping, workers=1), seen.append)
    notices = [event.message for event in seen if isinstance(event, Notice)]
    assert f"{tmp_path}: left out, by their names: a.csv.bz2, b.tab, c.zip and 1 more" in notices


@pytest.mark.parametrize(("fields", "told"), [(14, True), (2, True), (0, False)])
def test_inferred_types_are_told(tmp_path: Path, fields: int, told: bool) -> None:
    """Of CSV whose fields have no types said, twelve at most; nobody else wants to know."""
    names = [f"f{number}" for number in range(fields or 2)]
    (tmp_path / "x.csv").write_text(f"t,{','.join(names)}\n1{',2' * len(names)}\n")
    kinds = () if fields else tuple(FieldMapping(name, name, FieldType.INTEGER) for name in names)
    seen: list[Event] = []
    staged(tmp_path, "x.csv", mapping=ColumnMapping("m", "t", (), kinds, "s"), observe=seen.append)
    words = [event.message for event in seen if isinstance(event, Notice)]
    assert any("types of fields, as inferred: f0 integer, f1 integer" in text for text in words) is told
    assert any(text.endswith(" and 2 more") for text in words) is (fields > 12)


def test_dictionaries_that_hold_null(tmp_path: Path) -> None:
    """A row that refers to null in its dictionary has no tag, as one that refers to nothing."""
    hosts = pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int8()), pa.array(["a", None]))
    table = pa.table({"host": hosts, "t": pa.array([1, 2, 3]), "n": [1, 2, 3]})
    with pa.ipc.new_file(str(tmp_path / "x.arrow"), table.schema) as writer:
        writer.write_table(table)
    staged(tmp_path, "x.arrow", mapping=ColumnMapping("m", "t", ("host",), time_unit="s"))
    assert sorted(stored(tmp_path / "out"), key=lambda row: row[1]) == [
        (None, SECOND, 1),
        ("a", 2 * SECOND, 2),
        (None, 3 * SECOND, 3),
    ]


def test_links_to_folders_are_refused(tmp_path: Path) -> None:
    """What lies behind one would be left out without a word."""
    (tmp_path / "in").mkdir()
    put_csv(tmp_path / "in" / "x.csv")
    (tmp_path / "in" / "more").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="more: is a link to a folder"):
        staged(tmp_path, "in")


def test_how_csv_is_written(tmp_path: Path) -> None:
    """It is part of what makes a dataset, and of no use without CSV."""
    written("Zeit;Ort;Wert\n31.01.2024 10:00;x;1,5\n31.01.2024 11:00;x;k.A.\n31.01.2024 12:00;x;2\n")(tmp_path)
    mapping = ColumnMapping("m", "Zeit", ("Ort",), policy=Policy("UTC"))
    form = CsvFormat(";", ("k.A.",), ",", "%d.%m.%Y %H:%M")
    report = staged(tmp_path, "x.csv", mapping=mapping, csv=form)
    assert (report.rows, report.rows_rejected) == (2, 1)
    assert stored(tmp_path / "out") == [("x", 1_706_695_200 * 10**9, 1.5), ("x", 1_706_702_400 * 10**9, 2.0)]
    assert staged(tmp_path, "x.csv", mapping=mapping, csv=form).partitions_kept == 1
    with pytest.raises(ConfigError, match="other settings"):
        staged(tmp_path, "x.csv", mapping=mapping, csv=replace(form, nulls=("k.A.", "x")))
    pq.write_table(pa.table({"t": [1], "v": [1]}), tmp_path / "y.parquet")
    with pytest.raises(ConfigError, match="no source is CSV") as caught:
        staged(tmp_path, "y.parquet", mapping=mapping, csv=form)
    assert "--separator" in caught.value.hint
