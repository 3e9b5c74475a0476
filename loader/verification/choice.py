"""Chooses what is compared where nothing is said: the server's own sums, or every value in its storage files.

A sum of each (series, day) is a table of its own for InfluxDB 2.x, and a row of its answer is larger than some points;
each aggregate is a pass over all points; and each sample is a query. So sums of many short series, or of not so many
points, take longer than the values themselves, which prove more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from loader.dataset.instant import DAY
from loader.dataset.manifest import Manifest
from loader.dataset.schema import FieldType, PointSchema
from loader.errors import Refused
from loader.events import Notice, Observer
from loader.servers import flux
from loader.servers.backup import Shard, list_shards
from loader.servers.base import Bucket, Target
from loader.servers.load_method import Surplus
from loader.servers.patience import Patience
from loader.servers.transport import Connection
from loader.verification.aggregates.frames import functions_of
from loader.verification.settings import VerifySettings
from loader.verification.surplus import IGNORED
from loader.verification.windows import plan_windows

AGGREGATE_SECONDS = 50e-6
"""Time of InfluxDB 2.9 for one aggregate of one field of one (series, day), with two queries at a time."""
POINT_SECONDS = 9e-9
"""Time of it for one aggregate of one value."""
SAMPLE_SECONDS = 2.5e-3
"""Time of it for a sample, with two queries at a time."""
VALUE_SECONDS = 45e-9
"""Time in which a value is read from storage files and compared."""
TEXT_SECONDS = 1.5e-6
"""Time for a string, of some hundred bytes."""
KEY_SECONDS = 20e-6
"""Time for each series and field of storage files, besides their values."""
LONG_SECONDS = 2.0
"""Sums and samples that take less are asked for, whatever files would take."""
_VALUES_CHOSEN = "every value is compared: sums and samples would take longer (--no-values asks for them)"

_VALUES_PROVE_MORE = "every value is compared: beside other points, sums prove less (--no-values asks for sums)"
_LONGER = 2
"""How many times longer sums and samples must take: times are of one machine."""


@dataclass(frozen=True)
class Extent:
    """How much of a measurement there is to compare: ``rows`` of ``series`` series, on ``days`` UTC days."""

    schema: PointSchema
    rows: int
    series: int
    days: int

    @property
    def sums_seconds(self) -> float:
        """About how long the server takes for the aggregates of every (series, day)."""
        aggregates = sum(len(functions_of(field.type)) for field in self.schema.fields)
        cells = min(self.rows, self.series * self.days)
        return aggregates * (cells * AGGREGATE_SECONDS + self.rows * POINT_SECONDS)

    @property
    def files_seconds(self) -> float:
        """About how long it takes to compare every value with storage files."""
        values = sum(TEXT_SECONDS if each.type is FieldType.STRING else VALUE_SECONDS for each in self.schema.fields)
        return self.rows * values + len(self.schema.fields) * self.series * KEY_SECONDS


def prefer_files(extents: Sequence[Extent], samples: int) -> bool:
    """Tell whether sums and ``samples`` samples take long, and longer than files do."""
    sums = sum(each.sums_seconds for each in extents) + SAMPLE_SECONDS * samples
    files = sum(each.files_seconds for each in extents)
    return sums > LONG_SECONDS and sums > _LONGER * files


def find_shards(
    settings: VerifySettings, manifest: Manifest, bucket: Bucket, connection: Connection, patience: Patience
) -> Sequence[Shard] | None:
    """Return the shards of ``bucket`` whose files are to be compared, None where sums are; the server gives files.

    Where the settings leave the choice, files are taken where surplus is ignored, as they prove more; otherwise the
    server counts the series of each measurement, unless sums cannot take long. Without the permission to read files,
    sums are compared. Raises Refused where files must be read, and ServerError.
    """
    chosen = settings.surplus == Surplus.IGNORE
    if settings.values is None and not chosen and not _take_long(settings, manifest, connection, patience):
        return None
    if settings.values is False:
        return None
    try:
        return patience.ask(lambda: list_shards(connection.send, bucket))
    except Refused:
        if settings.values:
            raise
        return None


def _take_long(settings: VerifySettings, manifest: Manifest, connection: Connection, patience: Patience) -> bool:
    """Tell whether files are to be preferred to sums and samples; the server counts the series for it."""
    parts = [part for part in manifest.measurements if part.rows]
    samples = min(settings.samples, manifest.rows)
    if not prefer_files([_extent(part, part.rows) for part in parts], samples):
        return False
    series = [patience.ask(partial(_count_series, part, settings.target, connection)) for part in parts]
    return prefer_files([_extent(part, number) for part, number in zip(parts, series, strict=True)], samples)


def _extent(manifest: Manifest, series: int) -> Extent:
    windows = plan_windows(manifest.filled)
    return Extent(manifest.schema, manifest.rows, series, (windows[-1].stop - windows[0].start) // DAY)


def _count_series(manifest: Manifest, target: Target, connection: Connection) -> int:
    windows = plan_windows(manifest.filled)
    request = flux.build_cardinality(target, manifest.schema, windows[0].start, windows[-1].stop)
    return flux.parse_count(connection.send(request))


def tell_choice(settings: VerifySettings, shards: Sequence[Shard] | None, observe: Observer) -> None:
    """Report what is compared, where the settings leave that open."""
    ignoring = settings.surplus == Surplus.IGNORE
    if ignoring:
        observe(Notice(IGNORED))
    if shards is not None and not settings.values:
        observe(Notice(_VALUES_PROVE_MORE if ignoring else _VALUES_CHOSEN))
