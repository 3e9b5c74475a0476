"""The dictionary of names in lines: numbers series, measurements and fields, whatever the spelling of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from loader.encoding.line_protocol.names import (
    FIELD,
    FULL,
    MEASUREMENT_NAME,
    SERIES,
    add_again,
    enlarge,
    find_or_add,
    forget,
    new_names,
)
from loader.encoding.line_protocol.texts import WORD_SIZE, byte_words
from loader.encoding.line_protocol.unescape import (
    BadName,
    Flaw,
    Series,
    SeriesReader,
    read_field_key,
    read_measurement,
    read_texts,
)

_BAD, _UNREAD = -1, -2
_FIRST_SERIES = 1_024


class Dictionary:
    """The names of lines and their meanings, which grow from block to block.

    Of a series only texts are kept: one in its standard spelling and one for each other spelling that occurred. Each
    takes about 100 bytes and the text, twice that when tables have just grown (measured: 240 bytes with two tags).
    """

    def __init__(self) -> None:
        self.names = new_names()
        """The names as they are written in lines; a scan adds names, which ``read`` then interprets."""
        self.meanings = np.full(len(self.names.hashes), _UNREAD, np.int64)
        """The meaning of each name: the number of a series, measurement or field, negative for a bad name."""
        self.measurements: dict[str, int] = {}
        self.fields: dict[tuple[int, str], int] = {}
        """The number of each field, by the number of its measurement and its key."""
        self.series_count = 0
        self._series_names = np.zeros(_FIRST_SERIES, np.int64)
        self._reader = SeriesReader()

    def enlarge(self) -> None:
        """Make room for more names."""
        self.names = enlarge(self.names)
        more = len(self.names.hashes) - len(self.meanings)
        self.meanings = np.append(self.meanings, np.full(more, _UNREAD, np.int64))

    def series(self, number: int) -> Series:
        """Return series ``number``."""
        name = self._series_names[number]
        start, stop = self.names.bounds[name : name + 2]
        return self._reader.read(self.names.text[start:stop].tobytes().decode())

    def read(self, known: int) -> dict[int, Flaw]:
        """Read all names after the first ``known``; return the bad ones."""
        bad: dict[int, Flaw] = {}
        count = int(self.names.total[0])
        owners = self.names.owners[known:count].tolist()
        bounds = self.names.bounds[known : count + 1]
        data = self.names.text[bounds[0] : bounds[-1]].tobytes()
        self.meanings[known:count] = _UNREAD
        texts = read_texts(data, (bounds - bounds[0]).tolist())
        for name, owner, text in zip(range(known, count), owners, texts, strict=True):
            try:
                if isinstance(text, Flaw):
                    raise BadName(*text)
                if owner == SERIES:
                    self._read_series(name, text)
                else:
                    self.meanings[name] = self._read_name(owner, text)
            except BadName as error:
                bad[name], self.meanings[name] = error.flaw, _BAD
        return bad

    def _read_name(self, owner: int, text: str) -> int:
        if owner == MEASUREMENT_NAME:
            return self.measurements.setdefault(read_measurement(text), len(self.measurements))
        measurement = int(self.meanings[owner - FIELD])
        if measurement < 0:  # every series of it is bad, too
            return _BAD
        return self.fields.setdefault((measurement, read_field_key(text)), len(self.fields))

    def _read_series(self, name: int, text: str) -> None:
        spelled = self._reader.spell(text)
        first = name if spelled == text else self._add(name, spelled)
        if self.meanings[first] == _UNREAD:
            if self.series_count == len(self._series_names):
                self._series_names = np.append(self._series_names, np.zeros_like(self._series_names))
            self._series_names[self.series_count] = first
            self.meanings[first] = self.series_count
            self.series_count += 1
        self.meanings[name] = self.meanings[first]

    def _add(self, name: int, spelled: str) -> int:
        """Return the name of the same series in its standard spelling, added if it is new."""
        data = spelled.encode()
        padded = np.zeros(len(data) + WORD_SIZE + 1, np.uint8)
        padded[: len(data)] = np.frombuffer(data, np.uint8)
        found = FULL
        while found == FULL:
            known = int(self.names.total[0])
            found = find_or_add(self.names, SERIES, byte_words(padded), 0, len(data))
            if found == FULL:
                self.enlarge()
        if found == known:
            self.names.measurements[found] = self.names.measurements[name]
            self.meanings[found] = _UNREAD
        return int(found)

    def forget_bad(self, known: int, numbered: int) -> None:
        """Forget the bad names among those after ``known``, since they may never occur again; renumber the others.

        ``numbered`` is the number of series before these names were read.
        """
        names, count = self.names, int(self.names.total[0])
        kept = self.meanings[known:count] >= 0
        bounds = names.bounds[known : count + 1] - names.bounds[known]
        text = np.append(names.text[names.bounds[known] : names.bounds[count]], np.zeros(WORD_SIZE + 1, np.uint8))
        owners, measurements = names.owners[known:count].copy(), names.measurements[known:count].copy()
        meanings = self.meanings[known:count][kept]
        moved = np.zeros(count - known, np.int64)
        forget(names, known)
        add_again(names, byte_words(text), bounds, owners, measurements, known, kept, moved)
        self.meanings[moved[kept]] = meanings
        fresh = self._series_names[numbered : self.series_count]
        fresh[:] = moved[fresh - known]


class SeriesList(Sequence[Series]):
    """The series of a dictionary, by number; each is read from its text on access."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._dictionary = dictionary

    def __len__(self) -> int:
        """Return the number of series."""
        return self._dictionary.series_count

    @overload
    def __getitem__(self, index: int) -> Series: ...

    @overload
    def __getitem__(self, index: slice) -> list[Series]: ...

    def __getitem__(self, index: int | slice) -> Series | list[Series]:
        """Return a series, or a list of some; raises IndexError."""
        numbers = range(len(self))[index]
        if isinstance(numbers, range):
            return [self._dictionary.series(number) for number in numbers]
        return self._dictionary.series(numbers)
