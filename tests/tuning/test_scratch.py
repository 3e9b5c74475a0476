"""Which buckets are scratch buckets: only those that a tuning made."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from loader.servers.base import Bucket
from loader.tuning.scratch import made_at, make_mark, make_name

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def test_a_scratch_bucket_tells_when_it_was_made() -> None:
    """Name and mark have the form that is looked for, and no two names are the same."""
    name = make_name()
    assert made_at(Bucket(name, description=make_mark(name, NOW))) == NOW
    assert make_name() != name


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("loader-tune-0123456789abcdef", ""),
        ("loader-tune-0123456789abcdef", "scratch-of-loader-tune-0123456789abcde0-20261130T120000Z"),
        ("loader-tune-0123456789abcdef", "scratch-of-loader-tune-0123456789abcdef-20261330T120000Z"),
        ("loader-tune-0123456789abcdef", "scratch-of-loader-tune-0123456789abcdef-20261130T120000Z, mine now"),
        ("loader-tune-of-mine", "scratch-of-loader-tune-of-mine-20261130T120000Z"),
        ("trades", "scratch-of-loader-tune-0123456789abcdef-20261130T120000Z"),
    ],
)
def test_no_other_bucket_is_one(name: str, description: str) -> None:
    """A similar name, a mark of another bucket, or a changed description is not ours."""
    assert made_at(Bucket(name, description=description)) is None
