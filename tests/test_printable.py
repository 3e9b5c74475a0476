"""Foreign text becomes one safe line, wherever it is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import LoaderError, PartialWrite, Retryable
from loader.events import Notice, Waited
from loader.printable import MESSAGE, WORDS, listed, printable
from loader.verification.settings import Difference


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本 \\ text", "plain é 日本 \\ text"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x7f\x9b31m", "\\x7f\\x9b31m"),
        ("\u202egpj.exe\u2066\ufeff", "\\u202egpj.exe\\u2066\\ufeff"),
        ("\ud800\U000e0041\u2028", "\\ud800\\U000e0041\\u2028"),
    ],
)
def test_what_cannot_be_seen_becomes_escapes(text: str, shown: str) -> None:
    """Control characters, marks of direction, broken text and line ends lose their power."""
    assert printable(text) == shown


@given(st.text(max_size=2_000), st.integers(1, 600))
def test_every_text_is_safe_and_short(text: str, most: int) -> None:
    """Nothing but printable characters is left, in at most so many, and what is cut off is counted."""
    shown = printable(text, most)
    assert shown.isprintable()
    head, _, counted = shown.partition("… (") if len(shown) > most else (shown, "", "")
    assert len(head) <= most
    assert not counted or int(counted.split()[0].replace(",", "")) <= len(text)


def test_long_text_is_cut() -> None:
    """Five megabytes of a server are five hundred characters of ours."""
    assert printable("x" * 5_000_000) == "x" * WORDS + f"… ({5_000_000 - WORDS:,} more characters)"


@pytest.mark.parametrize(
    "said",
    [
        lambda text: LoaderError(text, hint=text),
        lambda text: Retryable(text, status=503),
        lambda text: PartialWrite(text, status=400, rest_stored=True),
        Notice,
        lambda text: Waited("retry", 1.0, text),
        lambda text: Difference(text, text, text, text, text).shown(),
    ],
)
def test_all_that_is_said_is_printable(said: object) -> None:
    """Errors, events and differences see to it themselves, whatever they quote."""
    value = said("\x1b]0;title\x07" + "x" * 90_000)  # type: ignore[operator]
    for text in [text for text in vars(value).values() if isinstance(text, str)] + [str(value).replace("\n", "")]:
        assert text.isprintable()
        assert len(text) < 5 * MESSAGE


@pytest.mark.parametrize(
    ("names", "most", "shown"), [(["a"], 1, "a"), (["a", "b", "c"], 1, "a and 2 more"), (["a", "b"], 2, "a, b")]
)
def test_many_names_are_cut(names: list[str], most: int, shown: str) -> None:
    """The first are said, and how many are not."""
    assert listed(names, most) == shown
