"""Our list of SIMs from a Parquet file, by pyarrow, some thousand rows at a time: the file is never held.

Texts, integers and decimals of any width keep their digits. A column of floats has lost those beyond what a float
holds: such a number is written so that it is seen, and refused row by row.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from typing import Any

from sim_sync.inventory.layout import SheetRow
from sim_sync.inventory.typed_file import (
    EXACT_DOUBLE,
    EXACT_FLOAT,
    EXACT_HALF,
    FileForm,
    TypedFileSettings,
    TypedSheet,
    cell_text,
    float_text,
    unreadable,
)

PARQUET = FileForm("a Parquet file", "pyarrow", "parquet")
_ADVICE = "the column holds floats: write it as a string column, from where the numbers are kept"
_ROWS_AT_ONCE = 5_000


@contextmanager
def open_parquet(file: BufferedReader, settings: TypedFileSettings) -> Iterator[TypedSheet]:
    """Open the file; its rows count from 1, and are read as they are asked for, inside the `with`.

    Raises:
        InventoryError: it is no Parquet file, or holds a type that pyarrow does not read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    broken = (pa.ArrowException, OSError, ValueError, NotImplementedError, KeyError, TypeError)
    try:
        parquet = pq.ParquetFile(file, pre_buffer=False)
        names = parquet.schema_arrow.names
    except broken as problem:
        raise unreadable(settings, PARQUET, problem) from None

    def rows() -> Iterator[SheetRow]:
        number = 0
        try:
            for batch in parquet.iter_batches(_ROWS_AT_ONCE, use_threads=False):
                texts = [_texts(column) for column in batch.columns]
                for cells in zip(*texts, strict=True):
                    number += 1
                    yield number, cells, None
        except broken as problem:
            raise unreadable(settings, PARQUET, problem) from None

    try:
        yield TypedSheet(settings.where, names, rows(), _ADVICE)
    finally:
        parquet.close()


def _texts(column: Any) -> Sequence[str]:
    """Return the cells of a column as texts."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        column = column.cast(pa.string())  # Python's times know no nanoseconds
    write = _writer(pa.types, kind)
    return ["" if value is None else write(value) for value in column.to_pylist()]


def _writer(types: Any, kind: Any) -> Callable[[Any], str]:
    for is_kind, exact_below in (
        (types.is_float64, EXACT_DOUBLE),
        (types.is_float32, EXACT_FLOAT),
        (types.is_float16, EXACT_HALF),
    ):
        if is_kind(kind):
            return lambda value: float_text(float(value), exact_below)
    return cell_text
