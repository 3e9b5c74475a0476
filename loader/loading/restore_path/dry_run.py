"""Does everything that a restore does except sending."""

from __future__ import annotations

from loader.dataset.manifest import Manifest
from loader.encoding.tsm.encode.buffer import Workspace
from loader.events import Started
from loader.loading.flow import Flow
from loader.loading.look import look_through
from loader.loading.rejected import Rejections, most_rejected
from loader.loading.restore_path.shards import plan_shards
from loader.loading.restore_path.storage_files import encode_shard, prepare_encoders
from loader.loading.settings import LoadReport
from loader.loading.shard_numbers import DEFAULT_DURATION
from loader.loading.tally import DRY_RUN, Tally


def encode_all(manifest: Manifest, tally: Tally, flow: Flow) -> LoadReport:
    """Make the storage files of all shards, and keep nothing."""
    settings = tally.settings
    rejections = Rejections(settings.place.state, "none", most_rejected(settings.max_rejected, manifest.rows), 0)
    manifest, known = look_through(tally, manifest, flow.stop)
    tally.started += prepare_encoders(tally.observe)
    workspace = Workspace()
    tally.observe(Started("dry run", manifest.rows))
    duration = settings.shard_duration or DEFAULT_DURATION
    files = (
        file
        for shard in plan_shards(settings.place.root, manifest, duration)
        for file in encode_shard(settings.place.root, manifest, shard, 1, workspace, known)
    )
    for file in files:
        rejections.count(file.rejected)
        tally.reject(len(file.rejected))
        tally.advance(file.rows, file.content.size, file.content.size, file.skipped)
        if flow.stopping:
            break
    return tally.report(DRY_RUN, manifest, stopped=flow.stop.is_set(), rejections=rejections)
