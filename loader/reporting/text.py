"""Reports as text for people. Pure: a report in, lines out."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from loader.events import SERVER_BUSY
from loader.quantities import counted, size_text
from loader.reporting.metrics import COMPARED, moment_text
from loader.servers.load_method import LoadMethod, Surplus

if TYPE_CHECKING:  # each command makes one of these reports, and should not import what makes the others
    from loader.loading.replaying.settings import ReplayReport
    from loader.loading.restore_path.export import ExportReport
    from loader.loading.settings import LoadReport
    from loader.reporting.status import Status, Verification
    from loader.staging.candles.settings import CandleReport
    from loader.staging.settings import StageReport
    from loader.verification.settings import VerifyReport

PAYLOADS = {LoadMethod.WRITE: "line protocol", LoadMethod.RESTORE: "storage files"}
"""What each load method sends."""


def rate_text(rows: int, seconds: float) -> str:
    """Return rows a second."""
    return f"{rows / seconds:,.0f}/s" if seconds > 0 else "-"


def stage_text(report: StageReport) -> str:
    """Summarise a stage."""
    kept = f", {report.partitions_kept} of them kept from an earlier run" if report.partitions_kept else ""
    noun = "trade" if [*report.measurements] == ["trades"] else "row"
    rows = counted(report.rows, noun) + _of(report.measurements)
    lines = [
        f"staged   {rows} in {counted(report.partitions, 'partition')}{kept}",
        f"         {size_text(report.size)}, {report.size / report.rows:.1f} bytes a {noun}",
        f"         {report.seconds:.1f} s, {rate_text(report.rows, report.seconds)}, "
        f"peak memory {size_text(report.peak_memory)}",
    ]
    if report.values_superseded:
        values = counted(report.values_superseded, "value")
        lines.append(f"         {values} left out: later rows of the same series and time have others")
    if report.values_not_finite:
        lines.append(f"         {counted(report.values_not_finite, 'value')} left out: NaN or infinite")
    if report.rows_moved:
        lines.append(f"         {counted(report.rows_moved, 'row')} moved, behind others of the same series and time")
    lines += _rejected_lines(report.rows_rejected, report.first_rejected, report.rejected_path)
    return "\n".join(lines)


def candles_text(report: CandleReport) -> str:
    """Summarise a stage of candles."""
    kept = f", {report.partitions_kept} of them kept from an earlier run" if report.partitions_kept else ""
    candles = f"{counted(report.candles, 'candle')} of {counted(report.rows, 'row')}"
    lines = [
        f"staged   {candles} in {counted(report.partitions, 'partition')}{kept}: {report.measurement}",
        f"         {size_text(report.size)}, {report.size / report.candles:.1f} bytes a candle",
        f"         {report.seconds:.1f} s, {rate_text(report.rows - report.rows_kept, report.seconds)}, "
        f"peak memory {size_text(report.peak_memory)}",
    ]
    lines += _left_out(report.rows_left_out)
    return "\n".join(lines)


def _left_out(rows: int) -> list[str]:
    """Return the line that says how many rows are in no candle, if there are such rows."""
    return [f"         {counted(rows, 'row')} left out: no price, no amount, or no time"] if rows else []


def load_text(report: LoadReport) -> str:
    """Summarise a load."""
    word = "stopped" if report.interrupted else "loaded"
    resumed = f", {report.rows_resumed:,} rows were done by earlier runs" if report.rows_resumed else ""
    payloads = PAYLOADS[LoadMethod(report.via)]
    lines = [
        f"{word:<8} {report.rows_acknowledged:,} of {counted(report.rows, 'point')}{_of(report.measurements)}{resumed}",
        f"         {report.server}",
        f"         {report.seconds:.1f} s, {rate_text(report.rows_done, report.seconds)}, "
        f"{size_text(report.body_size)} sent ({size_text(report.payload_size)} of {payloads}), "
        f"{counted(report.retries, 'retry', 'retries')}",
    ]
    # Every load waits for the server; that is reported in the metrics only.
    waits = sorted((cause, seconds) for cause, seconds in report.waits.items() if cause != SERVER_BUSY)
    lines += [f"         waited {seconds:.1f} s: {cause}" for cause, seconds in waits]
    lines += _skipped_line(report.rows_skipped)
    if report.rows_existing:
        points = counted(report.rows_existing, "point")
        lines.append(f"         {points} of the same series and time were there before, and replaced")
    if report.rows_moved:
        lines.append(_moved(report.rows_moved))
    if report.values_not_finite:
        lines.append(f"         {counted(report.values_not_finite, 'value')} left out: NaN or infinite")
    lines += _rejected_lines(report.rows_rejected, report.first_rejected, report.rejected_path)
    if report.interrupted:
        lines.append("         run the same command again to go on")
    return "\n".join(lines)


def _skipped_line(rows: int) -> list[str]:
    """Return the line that says how many rows are skipped, if there are such rows."""
    return [f"skipped  {counted(rows, 'row')}: later ones of the same series and time set all values"] if rows else []


def _moved(rows: int) -> str:
    """Return the line that says how many rows are moved apart."""
    said = counted(rows, "row is", "rows are")
    return f"         {said} moved by nanoseconds, behind others of the same series and time"


def _of(measurements: Collection[str]) -> str:
    """Return " of N measurements" where there are several, otherwise ""."""
    return f" of {len(measurements)} measurements" if len(measurements) > 1 else ""


def _rejected_lines(number: int, first: str, path: str) -> list[str]:
    """Return lines that say how many rows were rejected, where they are kept, and which was the first."""
    if not number:
        return []
    rows = f"rejected {counted(number, 'row')}"
    return [rows + f": {path}" * bool(path), *([f"         {first}"] if first else [])]


def replay_text(report: ReplayReport) -> str:
    """Summarise a replay."""
    word = "stopped" if report.interrupted else "replayed"
    before = report.rows_replayed + report.rows_rejected
    lines = [
        f"{word:<8} {report.rows_replayed:,} of {counted(before, 'rejected row')}",
        f"         {report.server}",
        f"         {report.seconds:.1f} s, {size_text(report.body_size)} sent,"
        f" {counted(report.retries, 'retry', 'retries')}",
        f"loaded   {report.rows_acknowledged:,} of {counted(report.rows, 'point')}",
        *_skipped_line(report.rows_skipped),
        *_rejected_lines(report.rows_rejected, report.first_rejected, report.rejected_path),
    ]
    if report.rows_absent:
        lines.append(f"         {counted(report.rows_absent, 'row')} of these not in the rejected file any more")
    if report.rows_edited:
        rows = counted(report.rows_edited, "row has other values", "rows have other values")
        lines.append(f"edited   {rows} than the dataset: loader verify lists them")
    if report.interrupted:
        lines.append("         run the same command again to go on")
    return "\n".join(lines)


def export_text(report: ExportReport) -> str:
    """Summarise an export."""
    word = "stopped" if report.interrupted else "exported"
    lines = [
        f"{word:<8} {counted(report.rows, 'point')} in {counted(report.files, 'file')}"
        f" of {counted(report.shards, 'shard')}: {report.out}",
        f"         {size_text(report.size)}, {report.seconds:.1f} s, {rate_text(report.rows, report.seconds)}",
        *_rejected_lines(report.rows_rejected, report.first_rejected, ""),
    ]
    return "\n".join(lines)


def verify_text(report: VerifyReport) -> str:
    """Summarise a verification, and list the differences it keeps."""
    outcome = counted(report.difference_count, "difference") if report.difference_count else "no differences"
    looked_at = f"all {counted(report.values, 'value')}" if report.values else counted(report.samples, "sample")
    looked_at = f"{report.windows:,} series and days, {looked_at}"
    left = report.unfit + report.rows_left_out
    points = f"{report.rows - left:,} of " * bool(left) + counted(report.rows, "point")
    not_compared = f"; {counted(left, 'row')} not compared" * bool(left)
    lines = [
        f"verified {points}{_of(report.measurements)}: {outcome}{not_compared}",
        f"         {counted(report.candles, 'candle') if report.candles else looked_at}, {report.server}",
        f"         {report.seconds:.1f} s, {rate_text(report.rows, report.seconds)}",
    ]
    if report.surplus == Surplus.IGNORE:
        lines.append("         points that the dataset does not have were not looked for")
    if report.unfit:
        lines.append(f"         {unfit_text(report.unfit)}: a load rejects them, and they are not compared")
    if report.rows_edited:
        rows = counted(report.rows_edited, "row was", "rows were")
        lines.append(f"         {rows} edited before a replay: compared with the dataset's values")
    lines += _left_out(report.rows_left_out)
    if report.superseded:
        values = counted(report.superseded, "value is", "values are")
        lines.append(f"         {values} superseded by later rows of the same series and time")
        if report.candles:
            lines.append("         loader candles counts each of these rows; the server keeps the last")
    for difference in report.differences:
        field = f" {difference.field}" if difference.field else ""
        lines.append(f"  {difference.kind:<9} {difference.day} {difference.series}{field}: {difference.detail}")
    for group in report.unfit_rows:
        name = f"{group.measurement}, " * bool(group.measurement)
        others = group.number - len(group.examples)
        lines.append(f"  {'no point':<9} {counted(group.number, 'row')}: {name}{group.column}: {group.reason}")
        lines.append(f"            {'; '.join(group.examples)}" + f"; and {others:,} more" * bool(others))
    more = report.difference_count - len(report.differences)
    if more > 0:
        lines.append(f"  and {more:,} more")
    return "\n".join(lines)


def unfit_text(rows: int) -> str:
    """Return the words for ``rows`` rows that verification does not compare."""
    return counted(rows, "row cannot be a point", "rows cannot be points")


def status_text(status: Status) -> str:
    """Summarise what is staged, loaded and verified."""
    unfinished = "" if status.complete else " (unfinished: stage again with the same settings)"
    word, parts = ("adopted", "file") if status.adopted else ("staged", "partition")
    partitions = f"{counted(status.partitions, parts)}, {size_text(status.size)}"
    noun = "trade" if [*status.measurements] == ["trades"] and not status.adopted else "row"
    lines = [f"{word:<8} {counted(status.rows, noun)}{_of(status.measurements)} in {partitions}{unfinished}"]
    if len(status.measurements) > 1:
        lines += [f"         {rows:>14,}  {measurement}" for measurement, rows in status.measurements.items()]
    if status.rows_moved:
        lines.append(_moved(status.rows_moved))
    if status.load is None:
        lines.append("loaded   nothing yet")
    else:
        load = status.load
        current = "" if load.fingerprint == status.fingerprint else " (of an earlier dataset)"
        rejected = f", {counted(load.rejected, 'row')} rejected" if load.rejected else ""
        state = "finished" if load.finished else "unfinished"
        skipped = f", {counted(load.skipped, 'row')} skipped" if load.skipped else ""
        points = counted(load.acknowledged, "point")
        where = f"{load.bucket} at {load.url}" if load.bucket else load.url
        lines.append(f"loaded   {points} into {where}{current}: {state}{rejected}{skipped}")
    seen, of_load = status.verification, status.load_verification
    if seen is None:
        lines.append("verified nothing yet")
    else:
        lines.append(f"verified {seen.bucket} at {seen.url}, {_ending(seen)}")
    if of_load and of_load != seen:
        lines.append(f"         the last load, {_ending(of_load)}")
    elif status.load and not of_load:
        lines.append("         the last load is not verified: loader verify does it")
    return "\n".join(lines)


def _ending(verification: Verification) -> str:
    """Say when a verification began, what it compared, and how it ended."""
    found = verification.differences
    end = "not finished" if found is None else counted(found, "difference") if found else "no differences"
    unfit = f", {unfit_text(verification.unfit)}" * bool(verification.unfit)
    return f"{moment_text(verification.started)}: {COMPARED.get(verification.way, verification.way)}, {end}{unfit}"
