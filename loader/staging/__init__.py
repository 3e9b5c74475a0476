"""Stages synthetic trades, or the points in source files, as a dataset of Parquet partitions."""

from __future__ import annotations

from loader.dataset.policy import OnDuplicate
from loader.events import Observer, ignore
from loader.staging.settings import FilesSettings, StageReport, StageSettings
from loader.staging.stage import stage

__all__ = ["FilesSettings", "OnDuplicate", "StageReport", "StageSettings", "stage", "stage_files"]


def stage_files(settings: FilesSettings, observe: Observer = ignore) -> StageReport:
    """Stage the points in source files; a dataset of the same sources and settings is kept as it is.

    Each measurement and UTC day becomes a partition with rows by tags, then time. Memory is 2 GiB at most.
    Raises ConfigError for wrong settings and unusable files, StageError for rows that cannot be points, or a lack of
    room, LoadError when rejected rows cannot be written.
    """
    # Imported when it is used: trades need neither DuckDB nor the decoder.
    from loader.staging.files import stage_files as run  # noqa: PLC0415

    return run(settings, observe)
