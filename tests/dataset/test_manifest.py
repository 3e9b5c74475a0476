"""A manifest may come from anybody: what it says is checked before anything is done with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.dataset import Manifest, Partition, open_dataset, read_manifest, trades_schema, write_manifest
from loader.dataset.claims import excerpt
from loader.dataset.manifest import NAME, has_manifest
from loader.dataset.nearby import list_datasets
from loader.dataset.place import find_place
from loader.errors import ConfigError, LoaderError, StageError
from tests.plants import KINDS, plant, untouched

PARTITION = Partition("date=2024-01-02/trades.parquet", 10, 1, 2, 345, "c0ffee00" * 8)
MANIFEST = Manifest((trades_schema(),), {"seed": 1}, {"loader": "0"}, (PARTITION,), complete=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with a sound manifest."""
    (tmp_path / "data").mkdir()
    write_manifest(tmp_path / "data", MANIFEST)
    return tmp_path / "data"


def rewrite(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Let ``change`` work on the manifest's JSON."""
    data = MANIFEST.to_json()
    data = json.loads(json.dumps(data))
    change(data)
    (root / NAME).write_text(json.dumps(data))


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": 1}', '{"version": 1, "schema": 3}', '{"ver', "[" * 99_999]
)
def test_a_damaged_manifest_is_named(root: Path, content: str) -> None:
    """Whatever is wrong in it, the error names the file, and the hint names nothing that destroys."""
    (root / NAME).write_text(content)
    with pytest.raises(StageError, match=r"data/\.loader/manifest\.json: damaged manifest: ") as caught:
        read_manifest(root)
    assert caught.value.hint == "put back the file as it was staged, or stage into another folder"


@pytest.mark.parametrize(
    "path",
    [
        *("../victim/precious.txt", "/etc/passwd", "a/../../b", "a/..", "..", ".", "", "a//b", "./a", "a/", "a/./b"),
        *("a\0b", "a\nb", "a\x1b[2Jb", "\x7f", "\ud800", ".loader/ledger.sqlite", "a" * 5_000, None, 7, ["a"], {}),
    ],
)
def test_paths_lead_downwards(root: Path, path: object) -> None:
    """Anything else is refused where the manifest is read, and shown without its control characters."""
    rewrite(root, lambda data: data["partitions"][0].update(path=path))
    with pytest.raises(StageError, match=r"damaged manifest: .*(path|partition)") as caught:
        read_manifest(root)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("path", ["a\\b.parquet", "..a/b", "ü/日本.parquet", "a b*?[x].parquet", "...", "x/.loader"])
def test_odd_paths_that_lead_downwards_are_taken(root: Path, path: str) -> None:
    """A name is no less a name for looking strange."""
    rewrite(root, lambda data: data["partitions"][0].update(path=path))
    assert read_manifest(root).partitions[0].path == path


@pytest.mark.parametrize("kind", KINDS)
def test_paths_do_not_leave_through_links(root: Path, kind: Callable[[Path], None]) -> None:
    """A partition that is a link, or lies in a folder that is one, is refused where the manifest is read."""
    plant(root / PARTITION.path, kind)
    with pytest.raises(StageError, match="regular file"):
        read_manifest(root)
    assert untouched(root / PARTITION.path)
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "trades.parquet").touch()
    (root / "linked").symlink_to("elsewhere")
    rewrite(root, lambda data: data["partitions"][0].update(path="linked/trades.parquet"))
    with pytest.raises(StageError, match="data/linked: is a link"):
        read_manifest(root)


NUMBERS = ("rows", "time_min", "time_max", "size")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [1e30, -1e30, 1.0, True, None, "1", 2**63, -(2**63) - 1, 10**400, [], {}])
def test_numbers_are_integers_of_64_bits(root: Path, name: str, value: object) -> None:
    """A float, a truth value or a huge number is none."""
    rewrite(root, lambda data: data["partitions"][0].update({name: value}))
    with pytest.raises(StageError, match=f"{name} of partition .* not an integer"):
        read_manifest(root)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "rows of partition .* is -1": lambda data: data["partitions"][0].update(rows=-1),
    "size of partition .* is -1": lambda data: data["partitions"][0].update(size=-1),
    "time_min of partition .* is after its time_max": lambda data: data["partitions"][0].update(time_min=3),
    "checksum of partition .* not 64": lambda data: data["partitions"][0].update(checksum="c0ffee"),
    "checksum of partition .* is 7": lambda data: data["partitions"][0].update(checksum=7),
    "'rows' is missing": lambda data: data["partitions"][0].pop("rows"),
    "'partitions' is missing": lambda data: data.pop("partitions"),
    "'version' is missing": lambda data: data.pop("version"),
    "a partition is 3, not an object": lambda data: data["partitions"].append(3),
    "the partitions is {}, not an array": lambda data: data.update(partitions={}),
    "is there twice": lambda data: data["partitions"].append(data["partitions"][0]),
    "the settings is": lambda data: data.update(settings=[]),
    "the versions is": lambda data: data.update(versions=""),
    "complete is 1, not true or false": lambda data: data.update(complete=1),
    "distinct is 'no'": lambda data: data.update(distinct="no"),
    "the schema is": lambda data: data.update(schema=[]),
    "the schemas are fewer than two": lambda data: data.update(schemas=[data["schema"]]),
    "measurement 'trades' is there twice": lambda data: data.update(schemas=[data["schema"]] * 2),
    "is of no measurement that has a schema": lambda data: data["partitions"][0].update(measurement="other"),
    "the measurement of partition '.*' is 7, not text": lambda data: data["partitions"][0].update(measurement=7),
    "the measurement is ''": lambda data: data["schema"].update(measurement=""),
    "the tags is 'symbol', not an array": lambda data: data["schema"].update(tags="symbol"),
    "a tag column is 7": lambda data: data["schema"].update(tags=[7]),
    "the fields is": lambda data: data["schema"].update(fields=["price"]),
    "a field column is ''": lambda data: data["schema"].update(fields={"": "float"}),
    "field 'price' is of type 'double'; known are float": lambda data: data["schema"].update(
        fields={"price": "double"}
    ),
    r"field 'price' is of type \[\]": lambda data: data["schema"].update(fields={"price": []}),
    "the schema has no field": lambda data: data["schema"].update(fields={}),
    "column 'symbol' is there twice": lambda data: data["schema"].update(tags=["symbol", "symbol"]),
    "column 'price' is there twice": lambda data: data["schema"].update(tags=["price"]),
    "column 'side' is there twice": lambda data: data["schema"].update(time="side"),
    "the time column is None": lambda data: data["schema"].update(time=None),
    "sparse column 'timestamp' is neither tag nor field": lambda data: data["schema"].update(sparse=["timestamp"]),
    r"the time unit is \['s'\]": lambda data: data["schema"].update(time_unit=["s"]),
    "the time unit is 'fortnight'; known are s, ms, us, ns": lambda data: data["schema"].update(time_unit="fortnight"),
}


@pytest.mark.parametrize("message", CHANGES)
def test_everything_else_has_its_type(root: Path, message: str) -> None:
    """Each fault is named."""
    rewrite(root, CHANGES[message])
    with pytest.raises(StageError, match=message):
        read_manifest(root)


def test_what_has_no_rows_needs_no_times(root: Path) -> None:
    """The times of an empty partition mean nothing."""
    rewrite(root, lambda data: data["partitions"][0].update(rows=0, time_min=0, time_max=-1))
    assert read_manifest(root).rows == 0


def test_the_unit_of_time_is_kept(root: Path) -> None:
    """For integers, which know none of their own."""
    rewrite(root, lambda data: data["schema"].update(time_unit="ms"))
    assert read_manifest(root).schema.time_unit == "ms"


@pytest.mark.parametrize("partitions", [[], [{**PARTITION.__dict__, "rows": 0}]])
def test_a_dataset_without_rows_is_refused(root: Path, partitions: list[object]) -> None:
    """There is nothing to load, nor to verify."""
    rewrite(root, lambda data: data.update(partitions=partitions))
    with pytest.raises(StageError, match="data: the manifest lists no rows"):
        open_dataset(root)


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_is_a_regular_file(root: Path, kind: Callable[[Path], None]) -> None:
    """Or it is not read."""
    plant(root / NAME, kind)
    for attempt in (read_manifest, has_manifest):
        with pytest.raises(StageError, match="only a regular file"):
            attempt(root)
    assert untouched(root / NAME)


def test_a_version_is_shown_as_what_it_is(root: Path) -> None:
    """Also when it is none."""
    rewrite(root, lambda data: data.update(version="\x1b[2J" * 1_000))
    with pytest.raises(ConfigError, match=r"version .* of the manifest; this loader reads 1") as caught:
        read_manifest(root)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("name", ["n" * 300, "n" * 5_000])
def test_a_folder_that_cannot_be(tmp_path: Path, name: str) -> None:
    """A path that the system refuses is a wrong setting."""
    with pytest.raises(ConfigError, match="File name too long"):
        read_manifest(tmp_path / name)


def test_a_manifest_is_read_up_to_a_bound(root: Path) -> None:
    """A file without end is refused after 16 MiB."""
    with (root / NAME).open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(StageError, match="larger than 16 MiB"):
        read_manifest(root)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["..", "a/b", 2**63]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
places = [
    *(("schema", name) for name in MANIFEST.schema.to_json()),
    *(("partitions", 0, name) for name in PARTITION.__dict__),
    *((name,) for name in MANIFEST.to_json()),
    ("partitions", 0),
    (),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(places), values)
def test_nothing_in_a_manifest_is_a_traceback(root: Path, place: tuple[Any, ...], value: object) -> None:
    """Whatever stands anywhere, the manifest is read or refused with our own error, in few and printable words."""
    data: Any = deepcopy(json.loads(json.dumps(MANIFEST.to_json())))
    if place:
        within = data
        for step in place[:-1]:
            within = within[step]
        within[place[-1]] = value
    else:
        data = value
    (root / NAME).write_text(json.dumps(data))
    refused = None
    try:
        manifest = read_manifest(root)
    except LoaderError as error:
        refused = error
    if refused:
        assert refused.message.isprintable()
        assert len(refused.message) < 1_000
    else:
        assert all(type(partition.rows) is int and partition.rows >= 0 for partition in manifest.partitions)
        assert all(".." not in partition.path.split("/") for partition in manifest.partitions)


def test_an_excerpt_is_short_and_plain() -> None:
    """However large or deep a value is."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, "\x1b" * 10_000, ["x" * 1_000] * 1_000, {"ü": "\u202e"}):
        assert len(excerpt(value)) <= 200
        assert excerpt(value).isascii()
        assert excerpt(value).isprintable()
    while deep:  # or Python takes it apart by recursion
        deep = deep.pop()  # type: ignore[assignment]


def test_datasets_nearby_are_named(root: Path, tmp_path: Path) -> None:
    """Who names the folder above, or mistypes the name, is told what is there: folders, files and patterns."""
    beside = tmp_path / "data"
    (tmp_path / "trips.parquet").write_bytes(b"PAR1")
    for path in (tmp_path / "trips.parquet", tmp_path / "week*.parquet"):
        state = find_place(path).state
        state.mkdir(parents=True)
        write_manifest(state, MANIFEST)
    (tmp_path / "other").mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "planted" / ".loader").mkdir(parents=True)
    (tmp_path / "planted" / NAME).symlink_to(root / NAME)
    (tmp_path / ".hidden").symlink_to(root)
    found = [beside, tmp_path / "trips.parquet", tmp_path / "week*.parquet"]
    assert list_datasets(tmp_path) == found
    assert list_datasets(tmp_path / "other") == list_datasets(tmp_path / "nowhere") == []
    assert list_datasets(tmp_path / "notes.txt") == []
    words = f"datasets are there: {beside}, {found[1]}, '{found[2]}'"
    for wrong in (tmp_path, tmp_path / "dta"):
        with pytest.raises(ConfigError) as error:
            read_manifest(wrong)
        assert error.value.hint == words
    with pytest.raises(ConfigError) as error:
        read_manifest(tmp_path / "other")
    assert "loader stage --out" in error.value.hint


def test_links_among_the_loaders_own_are_no_datasets(root: Path, tmp_path: Path) -> None:
    """They may lead anywhere, and are not followed."""
    (tmp_path / ".loader").mkdir()
    (tmp_path / ".loader" / "a.parquet").symlink_to(root)
    assert list_datasets(tmp_path) == [root]
