"""What is varied, and the values that are tried of each: those next to the settings that measuring goes on from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from loader.encoding.arrays import Integers
from loader.quantities import counted
from loader.tuning.bench import Bench, Measured
from loader.tuning.sample import Sample
from loader.tuning.search import Factor, Option
from loader.tuning.settings import BATCH, COMPRESSION, CONNECTIONS, PATH, RESTORE, ROW_ORDER, TOGETHER, TunedSettings

_SCALES = (0.25, 0.5, 1, 2, 4)
_CONNECTIONS = (1, 2, 3, 6, 12)
_COMPRESSIONS = ("none", "gzip:1", "gzip:6")
BODIES = 2
"""Bodies that a trial has for each connection at least: otherwise most of them would wait for the last."""

Say = Callable[[TunedSettings], str]
"""What a value is called."""


@dataclass(frozen=True)
class Factors:
    """Makes the factors for trials of ``bench`` with ``sample``, which end after ``seconds`` each.

    ``counted`` is told of everything that is measured.
    """

    bench: Bench
    sample: Sample
    seconds: float
    counted: Callable[[Measured], Measured]

    @property
    def in_turn(self) -> tuple[Callable[[TunedSettings], Factor], ...]:
        """What makes the factors of the settings, in the order in which they are measured."""
        return self.batch, self.connections, self.compression

    def count(self, start: TunedSettings, *, restores: bool) -> int:
        """Return about how many values are measured: all around ``start``, and once more what is found."""
        factors = [*(make(start) for make in self.in_turn), self.order(start)]
        return sum(len(factor.options) for factor in factors if factor.varies) + 2 + 2 * restores

    def batch(self, base: TunedSettings) -> Factor:
        """Return the batch sizes around that of ``base``, lines and bytes in proportion, that make other bodies."""

        def say(each: TunedSettings) -> str:
            return f"{each.batch_lines:,} lines"

        options = {self._count(base): base}
        same = []
        for scale in _SCALES:
            lines, size = (max(1, int(each * scale)) for each in (base.batch_lines, base.batch_bytes))
            scaled = replace(base, batch_lines=lines, batch_bytes=size)
            if options.setdefault(self._count(scaled), scaled) != scaled:
                same.append(say(scaled))
        by_size = sorted(options.values(), key=lambda each: each.batch_lines)
        factor = self._sized(BATCH, by_size, base, say)
        if not same:
            return factor
        longest = max(partition.rows for partition in self.sample.manifest.filled)
        note = (
            f"{BATCH}: {', '.join(same)} not measured: there would be as many bodies as with another value, since a"
            f" body has rows of one partition, and those of the sample have up to {counted(longest, 'row')}"
        )
        return replace(factor, notes=(*factor.notes, note))

    def connections(self, base: TunedSettings) -> Factor:
        """Return the numbers of connections for which there are enough bodies."""
        numbers = sorted({*_CONNECTIONS, base.connections})
        options = [replace(base, connections=number) for number in numbers]
        return self._sized(CONNECTIONS, options, base, lambda each: str(each.connections))

    def compression(self, base: TunedSettings) -> Factor:
        """Return the ways to compress."""
        options = [replace(base, compress=name) for name in dict.fromkeys((*_COMPRESSIONS, base.compress))]
        return self._factor(COMPRESSION, options, base, lambda each: each.compress)

    def together(self, start: TunedSettings, found: TunedSettings) -> Factor:
        """Return the settings to begin with and those that were found: the last word on whether these are better."""
        options = [start] if found == start else [start, found]
        return self._factor(TOGETHER, options, start, lambda each: "start" if each == start else "found")

    def order(self, base: TunedSettings) -> Factor:
        """Return the orders of the rows; all of them are sent from memory, for rows lie in one order only."""
        there = np.arange(len(self.sample.lines))
        others = {name: each for name, each in self.sample.orders.items() if not np.array_equal(each, there)}
        same = [name for name in self.sample.orders if name not in others]
        options = [self._option(f"as it is ({' and '.join(same)} order)" if same else "as it is", base, there)]
        options += [self._option(f"{name} order", base, order) for name, order in others.items()]
        return Factor(ROW_ORDER, options, 0)

    def path(self, base: TunedSettings) -> Factor:
        """Return the write path and the restore path."""
        restore = self._measure(lambda: self.bench.restore(self.sample, base.connections))
        return Factor(PATH, [self._option("write", base), Option(RESTORE, base, restore)], 0)

    def _sized(self, name: str, options: Sequence[TunedSettings], base: TunedSettings, say: Say) -> Factor:
        """Return a factor of those options for which a trial has enough bodies."""
        tried = [each for each in options if each == base or self._count(each) >= BODIES * each.connections]
        left_out = [say(each) for each in options if each not in tried]
        note = (
            f"{name}: {', '.join(left_out)} not measured: a trial has too few bodies for that; it is as large as"
            " --seconds, --sample-rows and the dataset allow"
        )
        return replace(self._factor(name, tried, base, say), notes=[note] * bool(left_out))

    def _factor(self, name: str, options: Sequence[TunedSettings], base: TunedSettings, say: Say) -> Factor:
        return Factor(name, [self._option(say(each), each) for each in options], options.index(base))

    def _option(self, value: str, settings: TunedSettings, order: Integers | None = None) -> Option:
        send = self._measure(lambda: self.bench.send(self.sample, settings, self.seconds, order))
        return Option(value, settings, send)

    def _measure(self, measure: Callable[[], Measured]) -> Callable[[], Measured]:
        return lambda: self.counted(measure())

    def _count(self, settings: TunedSettings) -> int:
        return self.sample.count_bodies(settings.batch_lines, settings.batch_bytes)
