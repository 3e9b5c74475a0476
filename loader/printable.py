"""Foreign text as one line that is safe to show.

Names and messages from servers, files and datasets may hold anything. Errors and events make their own text printable,
so nothing that moves a cursor, changes a colour or reverses the direction of writing reaches a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence

WORDS = 500
"""Most characters that are shown of a message from a server."""
MESSAGE = 2_000
"""Most characters of a message of the loader, including what it quotes."""


def printable(text: str, most: int = WORDS) -> str:
    """Return ``text`` in at most ``most`` characters, with escapes for what cannot be seen.

    Escapes stand for control characters (also of C1), line ends, marks of direction and other invisible formats,
    lone surrogates, and what Unicode does not define. The number of characters that are cut off is
    appended, in addition to ``most``.
    """
    shown: list[str] = []
    room = most
    for number, character in enumerate(text):
        piece = character if character.isprintable() else _escape(character)
        if len(piece) > room:
            return "".join(shown) + f"… ({len(text) - number:,} more characters)"
        room -= len(piece)
        shown.append(piece)
    return "".join(shown)


def listed(names: Sequence[str], most: int = 1) -> str:
    """Return the first ``most`` of ``names`` in one line, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
