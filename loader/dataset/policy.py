"""What to do with values that a point cannot hold as they are; the default is always the strict choice."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from functools import cache
from typing import Any, Self

from loader.errors import ConfigError
from loader.quantities import counted


class Ambiguous(StrEnum):
    """Which instant a local time means that occurs twice, because clocks go back; staging infers it of times."""

    REFUSE = "refuse"
    INFER = "infer"
    EARLIEST = "earliest"
    LATEST = "latest"


class Nonexistent(StrEnum):
    """What to do with a local time that does not exist, because clocks go forward: refuse it, or use no value."""

    REFUSE = "refuse"
    SKIP = "skip"


class NonFinite(StrEnum):
    """What to do with NaN and infinities: reject the row, or leave out the field."""

    REJECT = "reject"
    SKIP = "skip"


class OnDuplicate(StrEnum):
    """What to do with a row when a later row of the same series and time sets the same field."""

    FAIL = "fail"
    LAST = "last"
    NUDGE = "nudge"


@cache
def known_zones() -> frozenset[str]:
    """Return the names of time zones that every library knows; this reads many files, once."""
    return frozenset(zoneinfo.available_timezones()) - {"localtime"}


@dataclass(frozen=True)
class Policy:
    """``timezone`` (IANA) is that of timestamps without one; if it is "", they are refused when files are adopted."""

    timezone: str = ""
    ambiguous: str = Ambiguous.REFUSE
    non_finite: str = NonFinite.REJECT
    nonexistent: str = Nonexistent.REFUSE

    @property
    def local(self) -> str:
        """The time zone of timestamps without one, "" where they need no conversion."""
        return "" if self.timezone == "UTC" else self.timezone

    @property
    def for_times(self) -> Policy:
        """The policy by which a time column is converted: to the earliest instant, if the right one is inferred."""
        return replace(self, ambiguous=Ambiguous.EARLIEST) if self.ambiguous == Ambiguous.INFER else self

    def check(self, where: str = "") -> None:
        """Raise ConfigError for a choice that is not known."""
        for name, value, known in (
            ("ambiguous", self.ambiguous, list(Ambiguous)),
            ("non-finite", self.non_finite, list(NonFinite)),
            ("nonexistent", self.nonexistent, list(Nonexistent)),
        ):
            if value not in known:
                raise ConfigError(f"{where}{name} {value!r}", hint=f"known are {', '.join(known)}")
        try:
            if self.timezone:
                zoneinfo.ZoneInfo(self.timezone)
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            raise ConfigError(
                f"{where}time zone {self.timezone!r} is not known", hint="use UTC, or a name such as Europe/Berlin"
            ) from None

    def to_json(self) -> dict[str, Any]:
        """Return what differs from the defaults; ``from_json`` is the inverse."""
        usual = asdict(STRICT)
        return {name: str(value) for name, value in asdict(self).items() if value != usual[name]}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote; raises ValueError for anything else."""
        if {*said} - {field.name for field in fields(cls)}:
            raise ValueError(f"the policy names {', '.join(said)}")
        policy = cls(**{name: str(value) for name, value in said.items()})
        try:
            policy.check()
        except ConfigError as error:
            raise ValueError(error.message) from None
        return policy


STRICT = Policy()


def duplicates_error(
    values: int, examples: Sequence[str], where: str = "", cause: str = "", remedy: str = ""
) -> ConfigError:
    """Return the error for ``values`` that later rows of the same identity replace, where none should.

    ``cause`` says what may have made them duplicates, if that is known, and ``remedy`` what is to be done then.
    """
    said = counted(values, "value belongs to a row", "values belong to rows")
    usual = (
        "let the last one count (--on-duplicate last), move them apart by nanoseconds (--on-duplicate nudge),"
        " or make more columns tags (--tag)"
    )
    return ConfigError(
        f"{where}{said} with the same series and time as a later row: {'; '.join(examples)}{cause and f'; {cause}'}",
        hint=f"{remedy}; only for true duplicates: {usual}" if cause else usual,
    )
