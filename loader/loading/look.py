"""What is looked for in all rows before the first is sent: values that are left out, and why."""

from __future__ import annotations

import threading

from loader.dataset.adopt import is_adopted
from loader.dataset.manifest import Manifest
from loader.dataset.non_finite import tell_non_finite
from loader.errors import ConfigError
from loader.loading.identities import find_superseded
from loader.loading.settings import OnDuplicate
from loader.loading.superseded import Superseded
from loader.loading.tally import Tally


def look_through(tally: Tally, manifest: Manifest, stop: threading.Event) -> Superseded:
    """Return what ``find_superseded`` finds, as the settings of ``tally`` and the dataset want it.

    Values that are no finite numbers are counted, where they are left out. Of an adopted dataset, whose owner may not
    know of duplicates, raises ConfigError when there are some, unless the settings say that the last one counts.
    """
    settings, root = tally.settings, tally.settings.place.root
    tally.values_not_finite = tell_non_finite(root, manifest, tally.observe, stop)
    if settings.assume_distinct:
        return Superseded()
    found = find_superseded(root, manifest, tally.observe, stop)
    if found.values and is_adopted(manifest) and settings.on_duplicate == OnDuplicate.FAIL:
        raise ConfigError(
            f"{settings.dataset}: {found.values:,} values belong to rows with the same series and time as a later row:"
            f" {'; '.join(found.examples)}",
            hint="one is kept: let it be the last (--on-duplicate last), or make more columns tags (--tag);"
            " loader stage --from moves them apart (--on-duplicate nudge)",
        )
    return found
