"""The pass over all rows before the first is sent: finds duplicates, and values that are left out."""

from __future__ import annotations

import threading

from loader.dataset.adopt import is_adopted
from loader.dataset.manifest import Manifest
from loader.dataset.non_finite import tell_non_finite
from loader.dataset.policy import OnDuplicate, duplicates_error
from loader.encoding.folds import merged_text
from loader.errors import ConfigError
from loader.events import ignore
from loader.loading.identities import look_at_identities
from loader.loading.known_rows import KnownRows
from loader.loading.nudges import move_apart
from loader.loading.tally import Tally


def look_through(tally: Tally, manifest: Manifest, stop: threading.Event) -> tuple[Manifest, KnownRows]:
    """Return the manifest, with moves when the settings want rows moved apart, and what is known of its rows.

    Values that are NaN or infinite are counted, where they are left out. Raises ConfigError when an adopted dataset has
    duplicates, of which its owner may not know, unless the settings say what to do with them.
    """
    settings, root = tally.settings, tally.settings.place.root
    tally.values_not_finite = tell_non_finite(root, manifest, tally.observe, stop)
    if settings.assume_distinct:
        return manifest, KnownRows()
    if settings.on_duplicate == OnDuplicate.NUDGE:
        if not is_adopted(manifest):
            raise ConfigError(
                f"{settings.dataset}: is a staged dataset, whose rows stay where they are",
                hint="leave out --on-duplicate, or stage it anew: loader stage --from SOURCE --on-duplicate nudge",
            )
        return move_apart(root, manifest, tally.observe, stop), KnownRows()
    refused = is_adopted(manifest) and settings.on_duplicate == OnDuplicate.FAIL
    found = look_at_identities(root, manifest, ignore if refused else tally.observe, stop)
    if found.values_superseded and refused:
        raise duplicates_error(
            found.values_superseded,
            found.examples,
            f"{settings.dataset}: ",
            merged_text(manifest.schemas[0].policy, found.values_in_folds),
            f"stage the files: loader stage --from {settings.dataset} tells the passes apart by --ambiguous infer",
        )
    return manifest, found
