"""Estimates the bytes of a text column once each row has its own text, where a dictionary holds each text once."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow.compute as pc
import pyarrow.parquet as pq

from loader.verification.pages import first_page_size

_BLOCK_ROWS = 1 << 12
_BLOCK_BYTES = 64 << 20
_DICTIONARIES = frozenset({"PLAIN_DICTIONARY", "RLE_DICTIONARY"})


def text_size(file: BinaryIO, metadata: pq.FileMetaData, group: int, position: int, enough: int) -> int:
    """Return about how many bytes the texts of a column take in a row group, with one text for each row.

    Rows are read only where a dictionary may make more than ``enough`` bytes. Then every block of rows counts as much
    as the largest one, so that no part of the group has more than its share. Memory is bounded by a block.
    """
    rows, chunk = metadata.row_group(group).num_rows, metadata.row_group(group).column(position)
    written = int(chunk.total_uncompressed_size)
    if _DICTIONARIES.isdisjoint(chunk.encodings):
        return written
    dictionary = first_page_size(file, chunk.dictionary_page_offset or chunk.data_page_offset)
    if 0 < dictionary * rows <= enough:
        return written
    name = chunk.path_in_schema
    block = max(1, min(_BLOCK_ROWS, rows * _BLOCK_BYTES // max(written, 1)))
    most = 0.0
    reading = {"metadata": metadata, "read_dictionary": [name], "pre_buffer": False, "buffer_size": 1 << 16}
    with pq.ParquetFile(file, **reading) as parquet:
        for batch in parquet.iter_batches(block, row_groups=[group], columns=[name], use_threads=False):
            texts = batch.column(0)
            lengths = pc.binary_length(texts.dictionary)
            if not most and (pc.max(lengths).as_py() or 0) * rows <= enough:
                break
            most = max(most, (pc.sum(lengths.take(texts.indices)).as_py() or 0) / len(texts))
    return max(written, int(most * rows))
