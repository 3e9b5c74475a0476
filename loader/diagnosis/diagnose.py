"""Looks at machine, server and dataset, and reports what would keep them from working together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loader.dataset.manifest import Manifest
from loader.dataset.place import find_place
from loader.diagnosis.dataset import (
    find_manifest,
    look_at_disk,
    look_at_folder,
    look_at_last_load,
    look_at_room,
    look_at_staging,
    temporary_bytes,
)
from loader.diagnosis.findings import Diagnosis, Finding, failure, looked_at
from loader.diagnosis.machine import (
    look_at_libraries,
    look_at_memory,
    look_at_open_files,
    look_at_temporary_files,
    look_at_texts,
)
from loader.diagnosis.server import look_at_server
from loader.errors import LoaderError
from loader.servers.base import Target

_NOT_LOADED = "it can neither be loaded nor verified"


@dataclass(frozen=True)
class DiagnosisSettings:
    """What to look at: the server of ``target``, and ``dataset``, None to look at the machine and the server only.

    ``state`` is where the loader keeps its own files of the dataset, see ``find_place``. ``timeout_seconds`` is how
    long to wait for one reply; no request is tried again.
    """

    target: Target
    dataset: Path | None = None
    state: Path | None = None
    timeout_seconds: float = 10.0


def diagnose(settings: DiagnosisSettings) -> Diagnosis:
    """Look at this machine, at the server, and at the dataset if there is one; nothing is written anywhere.

    What cannot be looked at is a problem among the findings, so no LoaderError is raised but the ConfigError for an
    invalid timeout or CA file. Memory is bounded by the manifest of the dataset.
    """
    manifest, findings = _look_at_dataset(settings)
    machine = [
        *looked_at("libraries", "commands may fail", look_at_libraries),
        *look_at_memory(),
        *look_at_open_files(),
        *look_at_texts(),
        *looked_at("temporary files", "loads may fail", lambda: look_at_temporary_files(temporary_bytes(manifest))),
    ]
    server = look_at_server(settings.target, settings.timeout_seconds, manifest)
    return Diagnosis((*machine, *server, *findings))


def _look_at_dataset(settings: DiagnosisSettings) -> tuple[Manifest | None, list[Finding]]:
    """Return the manifest of the dataset, None where there is none that can be read, and what is found of it."""
    dataset = settings.dataset
    if dataset is None:
        return None, looked_at("disk", "nothing can be staged here", lambda: look_at_room(Path.cwd()))
    try:
        place = find_place(dataset, settings.state)
        manifest = find_manifest(place)
    except LoaderError as error:
        return None, [failure("dataset", error, _NOT_LOADED)]

    def look() -> Iterator[Finding]:
        yield from look_at_folder(place)
        yield from look_at_disk(place, manifest)
        yield from look_at_staging(place, manifest)
        yield from look_at_last_load(place, manifest)

    return manifest, looked_at("dataset", _NOT_LOADED, look)
