"""Stages synthetic trades, the points in source files, or the candles of a dataset, as Parquet partitions."""

from __future__ import annotations

from loader.dataset.policy import OnDuplicate
from loader.events import Observer, ignore
from loader.staging.candles.settings import CandleReport, CandleRule, CandleSettings
from loader.staging.settings import FilesSettings, StageReport, StageSettings
from loader.staging.sources.csv_format import CsvFormat
from loader.staging.stage import stage

__all__ = [
    "CandleReport",
    "CandleRule",
    "CandleSettings",
    "CsvFormat",
    "FilesSettings",
    "OnDuplicate",
    "StageReport",
    "StageSettings",
    "stage",
    "stage_candles",
    "stage_files",
]


def stage_files(settings: FilesSettings, observe: Observer = ignore) -> StageReport:
    """Stage the points in source files; a dataset of the same sources and settings is kept as it is.

    Each measurement and UTC day becomes a partition with rows by tags, then time. Memory is 2 GiB at most.
    Raises ConfigError for wrong settings and unusable files, StageError for rows that cannot be points, or a lack of
    room, LoadError when rejected rows cannot be written.
    """
    # Imported when it is used: trades need neither DuckDB nor the decoder.
    from loader.staging.files import stage_files as run  # noqa: PLC0415

    return run(settings, observe)


def stage_candles(settings: CandleSettings, observe: Observer = ignore) -> CandleReport:
    """Stage the candles of a dataset as a dataset of their own; one of the same candles is kept as it is.

    Each UTC day becomes a partition in series order. After a run that ended early, the next one keeps the days that are
    finished. Memory is 1 GiB at most. Raises ConfigError for wrong settings and a source that is no dataset, StageError
    for a source that is damaged or has no trades, a volume that does not fit, or a lack of room.
    """
    # Imported when it is used, as above.
    from loader.staging.candles.compute import stage_candles as run  # noqa: PLC0415

    return run(settings, observe)
