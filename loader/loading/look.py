"""The pass over all rows before the first is sent: finds duplicates, and values that are left out."""

from __future__ import annotations

import threading

from loader.dataset.adopt import is_adopted
from loader.dataset.manifest import Manifest
from loader.dataset.non_finite import tell_non_finite
from loader.dataset.policy import OnDuplicate
from loader.errors import ConfigError
from loader.events import ignore
from loader.loading.identities import find_superseded
from loader.loading.nudges import move_apart
from loader.loading.superseded import Superseded
from loader.loading.tally import Tally


def look_through(tally: Tally, manifest: Manifest, stop: threading.Event) -> tuple[Manifest, Superseded]:
    """Return the manifest, with moves when the settings want rows moved apart, and the values that are superseded.

    Values that are NaN or infinite are counted, where they are left out. Raises ConfigError when an adopted dataset has
    duplicates, of which its owner may not know, unless the settings say what to do with them.
    """
    settings, root = tally.settings, tally.settings.place.root
    tally.values_not_finite = tell_non_finite(root, manifest, tally.observe, stop)
    if settings.assume_distinct:
        return manifest, Superseded()
    if settings.on_duplicate == OnDuplicate.NUDGE:
        if not is_adopted(manifest):
            raise ConfigError(
                f"{settings.dataset}: is a staged dataset, whose rows stay where they are",
                hint="leave out --on-duplicate, or stage it anew: loader stage --from SOURCE --on-duplicate nudge",
            )
        return move_apart(root, manifest, tally.observe, stop), Superseded()
    refused = is_adopted(manifest) and settings.on_duplicate == OnDuplicate.FAIL
    found = find_superseded(root, manifest, ignore if refused else tally.observe, stop)
    if found.values and refused:
        raise ConfigError(
            f"{settings.dataset}: {found.values:,} values belong to rows with the same series and time as a later row:"
            f" {'; '.join(found.examples)}",
            hint="let the last one count (--on-duplicate last), move them apart by nanoseconds (--on-duplicate nudge),"
            " or make more columns tags (--tag)",
        )
    return manifest, found
