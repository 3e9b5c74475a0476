"""The whole search, on a bench whose rates are planted and whose clock the test moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.encoding.arrays import Integers
from loader.errors import LoadError
from loader.loading.write_path import payloads
from loader.servers.patience import Stopped
from loader.tuning.bench import Bench, Measured
from loader.tuning.coordinate import find_settings
from loader.tuning.factors import Factors
from loader.tuning.sample import Sample, take_sample
from loader.tuning.scratch import NotRemoved
from loader.tuning.search import Search
from loader.tuning.settings import TunedSettings
from tests.datasets import small_dataset

START = TunedSettings(20, 1_000_000, 3)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Return 1,200 rows."""
    root = tmp_path_factory.mktemp("sampled")
    return take_sample(root, small_dataset(root, days=1, rows=300), 1_200)


class Planted:
    """Measures what is planted: ``gains`` of settings and orders multiply a rate of 1,000 points a second."""

    def __init__(self, gains: dict[Any, float], noise: float = 0.0, luck: int = 10**9) -> None:
        self.now = 0.0
        self._gains = gains
        self._noise = noise
        self._luck = luck
        self._turn = 0

    def measured(self, *values: Any) -> Measured:
        """Return a measurement of ``values``; the first ``luck`` have their gains, those after it none."""
        self._turn += 1
        rate = 1_000.0 * (1 + self._noise * (self._turn % 3))
        for value in values:
            rate *= self._gains.get(value, 1.0) if self._turn <= self._luck else 1.0
        self.now += 1_000 / rate
        return Measured(1_000, 1_000 / rate, 0.1)

    def send(self, sample: Sample, chosen: TunedSettings, seconds: float, order: Integers | None = None) -> Measured:
        """Measure settings, and an order unless the rows lie in it."""
        there = order is None or bool((order == range(len(order))).all())
        return self.measured(chosen.batch_lines, ("connections", chosen.connections), chosen.compress, there)

    def restore(self, sample: Sample, connections: int) -> Measured:
        """Measure the restore path."""
        return self.measured("restore")

    def find(self, sample: Sample, seconds: float = 10_000.0) -> tuple[TunedSettings, Search]:
        """Search, with the restore path, and return what is found and the search."""
        factors = Factors(cast(Bench, self), sample, 1.0, lambda measured: measured)
        search = Search(seconds, factors.count(START, restores=True), lambda: self.now)
        return find_settings(search, factors, START, restores=True), search


@given(st.sampled_from([5, 10, 20, 40, 80]), st.sampled_from([1, 2, 3, 6]), st.sampled_from(["none", "gzip:1"]))
def test_the_planted_best_of_each_factor_is_found(sample: Sample, lines: int, connections: int, compress: str) -> None:
    """From the start, whatever it is that is faster, and in spite of noise; the bytes of a batch go with its lines."""
    planted = Planted({lines: 1.5, ("connections", connections): 1.5, compress: 1.5}, noise=0.05)
    found, search = planted.find(sample)
    # With the larger batches a trial has too few bodies for more connections.
    reachable = connections if -(-1_200 // lines) >= 2 * connections else 3
    assert found == TunedSettings(lines, lines * 50_000, reachable, compress)
    together = [trial for trial in search.trials if trial.factor == "all together"]
    assert [trial.value for trial in together if trial.chosen] == (["found"] if found != START else [])


def test_without_a_difference_the_start_stays(sample: Sample) -> None:
    """Noise alone changes nothing, and gives no advice."""
    found, search = Planted({}, noise=0.2).find(sample)
    assert found == START
    assert {trial.factor for trial in search.trials} == {
        *("batch size", "connections", "compression", "row order", "load path")
    }
    assert [note for note in search.notes if "not measured" not in note] == []


def test_luck_is_found_out(sample: Sample) -> None:
    """What was faster one by one, and is not when compared with the start, is not used."""
    found, search = Planted({40: 1.5}, luck=40).find(sample)
    assert found == START
    assert any("the start is kept" in note for note in search.notes)


def test_batch_sizes_that_make_no_difference_are_told(tmp_path: Path) -> None:
    """A body has rows of one partition, so with small ones there are no larger batches to compare."""
    small = take_sample(tmp_path, small_dataset(tmp_path, days=3, rows=1), 12)
    _, search = Planted({}).find(small)
    assert "batch size" not in {trial.factor for trial in search.trials}
    (note,) = (note for note in search.notes if note.startswith("batch size"))
    assert note.startswith("batch size: 5 lines, 10 lines, 40 lines, 80 lines not measured")
    assert "have up to 4 rows" in note


@pytest.mark.parametrize("error", [Stopped("stopped"), NotRemoved("left"), LoadError("it failed")])
def test_a_restore_path_that_fails(sample: Sample, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """It is a note, but for a stop, and a bucket that may be left."""
    planted = Planted({20: 1.5})

    def fail(sample: Sample, connections: int) -> Measured:
        raise error

    monkeypatch.setattr(planted, "restore", fail)
    if isinstance(error, LoadError):
        _, search = planted.find(sample)
        assert "the restore path failed, and was not measured to the end: it failed" in search.notes
    else:
        with pytest.raises(type(error)):
            planted.find(sample)


def test_advice(sample: Sample) -> None:
    """A faster order and a faster load path are noted, for no setting says them."""
    _, search = Planted({False: 1.5, "restore": 9.0}).find(sample)
    assert any("--via restore" in note for note in search.notes)
    assert [trial.value for trial in search.trials if trial.factor == "row order"] == [
        *("as it is (series order)", "time order")
    ]
    assert not any("loader stage" in note for note in search.notes)


def test_advice_on_rows_in_time_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that would load faster in series order can be staged, where windows do not bring those of a series together.

    Where they do, a load sends series order as it is, and there is nothing to advise.
    """
    import pyarrow as pa

    from tests.tables import MOMENT, write_tables

    times = pa.array([MOMENT + row for row in range(1_200)], pa.timestamp("ns", "UTC"))
    table = pa.table({"host": pa.array(["a", "b"] * 600).dictionary_encode(), "v": [1.0] * 1_200, "t": times})
    from loader.dataset.schema import Field, FieldType, PointSchema

    schema = PointSchema("m", ("host",), (Field("v", FieldType.FLOAT),), "t")
    manifest = write_tables(tmp_path, schema, {"a.parquet": table}, row_group_size=4)
    _, search = Planted({False: 1.5}).find(take_sample(tmp_path, manifest, 1_200))
    assert not any("loader stage --from" in note for note in search.notes)
    assert "as it is (series order)" in [trial.value for trial in search.trials]
    monkeypatch.setattr(payloads, "WINDOW_BYTES", 1)
    _, search = Planted({False: 1.5}).find(take_sample(tmp_path, manifest, 1_200))
    assert any("loader stage --from" in note for note in search.notes)
    assert "as it is (time order)" in [trial.value for trial in search.trials]
