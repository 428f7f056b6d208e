"""The content of arrays and frames: names, types and values, not how they lie in memory.

Two frames with the same columns have the same content, whether they are one chunk or many, a slice of a larger frame
or not, and whatever their empty places hold. A polars frame, a pandas frame and an Arrow table differ all the same.
"""

from __future__ import annotations

from typing import Any

from penstock.core.contents import Contents
from penstock.core.errors import HashError
from penstock.core.extras import require


def add(contents: Contents, value: Any, kind: type) -> bool:
    """Add an array or a frame; False where it is neither."""
    package, name = kind.__module__.partition(".")[0], kind.__name__
    if package == "numpy":
        return _add_numpy(contents, value, name)
    if package == "pandas":
        return _add_pandas(contents, value, name)
    if package == "polars":
        return _add_polars(contents, value, name)
    if package == "pyarrow" and name in ("Table", "RecordBatch"):
        contents.note(f"arrow {name}")
        _add_table(contents, value)
        return True
    if package == "pyarrow" and hasattr(value, "type") and hasattr(value, "null_count"):
        contents.note("arrow array")
        _add_column(contents, value)
        return True
    return False


def _add_numpy(contents: Contents, value: Any, name: str) -> bool:
    if not hasattr(value, "dtype") or not hasattr(value, "tobytes"):
        return False
    contents.note(f"numpy {name}", f"{value.dtype.descr if value.dtype.names else value.dtype.str}".encode())
    contents.items("shape", tuple(value.shape))
    if value.dtype.hasobject:
        contents.add(value.tolist())
    else:
        contents.note("values", value.tobytes())
    return True


def _add_pandas(contents: Contents, value: Any, name: str) -> bool:
    if name == "DataFrame":
        contents.note("pandas frame")
        contents.add([list(value.columns), list(value.columns.names), list(value.index.names)])
        columns = [value.index, *(value.iloc[:, place] for place in range(value.shape[1]))]
    elif name == "Series":
        contents.note("pandas series")
        contents.add([value.name, list(value.index.names)])
        columns = [value.index, value]
    elif hasattr(value, "to_numpy") and hasattr(value, "names"):
        contents.note("pandas index")
        contents.add(list(value.names))
        columns = [value]
    else:
        return False
    for column in columns:
        contents.note("column", str(column.dtype).encode())
        _add_pandas_column(contents, column)
    return True


def _add_pandas_column(contents: Contents, column: Any) -> None:
    """As Arrow, where Arrow has such a column; else by its objects."""
    arrow = require("pyarrow", "data")
    try:
        found = arrow.array(column.array if hasattr(column, "array") else column, from_pandas=True)
    except (arrow.ArrowException, TypeError, ValueError):
        contents.add(column.to_numpy(dtype=object).tolist())
        return
    _add_column(contents, found)


def _add_polars(contents: Contents, value: Any, name: str) -> bool:
    if name == "LazyFrame":
        raise HashError("A LazyFrame holds a plan, and no rows.", hint="collect() it, or leave it out of the key")
    if name == "Series":
        columns = [value]
    elif name == "DataFrame":
        columns = value.get_columns()
    else:
        return False
    contents.note(f"polars {name}", str(len(columns)).encode())
    for column in columns:
        contents.add(column.name)
        contents.note("type", str(column.dtype).encode())
        if str(column.dtype) == "Object":
            contents.add(column.to_list())
        else:
            require("pyarrow", "data")
            _add_column(contents, column.to_arrow())
    return True


def _add_table(contents: Contents, table: Any) -> None:
    kept = {key: value for key, value in (table.schema.metadata or {}).items() if key != b"pandas"}
    contents.add(kept)
    for name, column in zip(table.schema.names, table.columns, strict=True):
        contents.add(name)
        _add_column(contents, column)


def _add_column(contents: Contents, column: Any) -> None:
    arrow = require("pyarrow", "data")
    if isinstance(column, arrow.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, arrow.ChunkedArray):  # too long for one array
            contents.note("chunks", str(column.num_chunks).encode())
            for chunk in column.chunks:
                _add_array(contents, chunk)
            return
    _add_array(contents, column)


def _add_array(contents: Contents, array: Any) -> None:
    """Its type, which places are empty, and the values of the others."""
    arrow = require("pyarrow", "data")
    kinds = arrow.types
    if isinstance(array, arrow.ExtensionArray):
        contents.note("extension", str(array.type).encode())
        array = array.storage
    contents.note("array", f"{array.type} {len(array)} {array.null_count}".encode())
    if array.null_count:
        contents.note("filled", _bytes_of(array.is_valid().cast("uint8"), 1))
        array = array.drop_null()
    kind = array.type
    if kinds.is_dictionary(kind):
        _add_array(contents, array.dictionary_decode())
    elif kinds.is_string_view(kind) or kinds.is_binary_view(kind):
        _add_text(contents, array.cast("large_string" if kinds.is_string_view(kind) else "large_binary"))
    elif any(test(kind) for test in (kinds.is_string, kinds.is_large_string, kinds.is_binary, kinds.is_large_binary)):
        _add_text(contents, array)
    elif kinds.is_boolean(kind):
        contents.note("values", _bytes_of(array.cast("uint8"), 1))
    elif kinds.is_struct(kind):
        for field, part in zip(kind, array.flatten(), strict=True):
            contents.add(field.name)
            _add_array(contents, part)
    elif kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        lengths = require("pyarrow.compute", "data").list_value_length(array)
        contents.note("lengths", _bytes_of(lengths.cast("int64"), 8))
        _add_array(contents, array.flatten())
    elif kinds.is_null(kind):
        return
    elif kinds.is_primitive(kind) or kinds.is_decimal(kind) or kinds.is_fixed_size_binary(kind):
        contents.note("values", _bytes_of(array, kind.bit_width // 8))
    else:
        contents.add(array.to_pylist())


def _add_text(contents: Contents, array: Any) -> None:
    compute = require("pyarrow.compute", "data")
    contents.note("lengths", _bytes_of(compute.binary_length(array).cast("int64"), 8))
    offsets, data = array.buffers()[1:]
    if not len(array) or data is None:
        contents.note("text")
        return
    width = 8 if str(array.type).startswith("large") else 4
    ends = memoryview(offsets).cast("B").cast("q" if width == 8 else "i")
    start, end = ends[array.offset], ends[array.offset + len(array)]
    contents.note("text", bytes(memoryview(data)[start:end]))


def _bytes_of(array: Any, width: int) -> bytes:
    """The values of an array without empty places, whose values have the same width."""
    data = array.buffers()[1]
    if data is None:
        return b""
    return bytes(memoryview(data)[array.offset * width : (array.offset + len(array)) * width])
