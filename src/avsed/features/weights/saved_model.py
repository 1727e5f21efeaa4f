"""Read the variables of a TensorFlow SavedModel without TensorFlow.

The variables are a table of LevelDB's format (`variables.index`), which maps names to entries in
protocol buffers, and a file of raw values (`variables.data-00000-of-00001`). References:
tensorflow/core/util/tensor_bundle, tensorflow/core/protobuf/tensor_bundle.proto and LevelDB's
doc/table_format.md.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FOOTER_LENGTH = 48  # bytes: handles of two blocks, padding, magic number
_FLOAT32 = 1  # DT_FLOAT of tensorflow/core/framework/types.proto
# Fields of BundleEntryProto, TensorShapeProto and TensorShapeProto.Dim.
_DTYPE, _SHAPE, _OFFSET = 1, 2, 4
_DIM, _SIZE = 2, 1


def read_variables(index: bytes, data: bytes) -> dict[str, NDArray[np.float32]]:
    """Read all float32 variables.

    Args:
        index: content of `variables.index`, uncompressed.
        data: content of the only data file.

    Returns:
        Name to values; variables of other types are omitted.

    Raises:
        ValueError, IndexError: if the table is damaged.
    """
    variables = {}
    _, position = _handle(index, len(index) - _FOOTER_LENGTH)  # of the meta block, unused
    root, _ = _handle(index, position)
    for _, handle in _records(index, root):
        block, _ = _handle(handle, 0)
        for name, entry in _records(index, block):
            fields = dict(_fields(entry))
            if not name or fields.get(_DTYPE) != _FLOAT32:  # the entry without a name is a header
                continue
            sizes = [dict(_fields(dim)) for field, dim in _fields(fields[_SHAPE]) if field == _DIM]
            shape = [size.get(_SIZE, 0) for size in sizes]
            values = np.frombuffer(data, "<f4", int(np.prod(shape)), fields.get(_OFFSET, 0))
            variables[name.decode()] = values.reshape(shape).astype(np.float32)
    return variables


def _records(table: bytes, block: slice) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block, whose keys share prefixes with the key before."""
    content = table[block]
    if table[block.stop] != 0:
        raise ValueError("compressed tables are not supported")
    n_restarts = int.from_bytes(content[-4:], "little")
    position, end = 0, len(content) - 4 * (n_restarts + 1)
    key = b""
    while position < end:
        shared, position = _varint(content, position)
        n_key, position = _varint(content, position)
        n_value, position = _varint(content, position)
        key = key[:shared] + content[position : position + n_key]
        position += n_key
        yield key, content[position : position + n_value]
        position += n_value


def _handle(data: bytes, position: int) -> tuple[slice, int]:
    """Decode where a block lies, and return the position after the handle."""
    offset, position = _varint(data, position)
    size, position = _varint(data, position)
    return slice(offset, offset + size), position


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the numbers and values of the fields of a protocol buffer."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire_type = tag & 7
        value: int | bytes
        if wire_type == 0:
            value, position = _varint(message, position)
        else:
            n_bytes = 4 if wire_type == 5 else 8
            if wire_type == 2:
                n_bytes, position = _varint(message, position)
            value = message[position : position + n_bytes]
            position += n_bytes
        yield tag >> 3, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Decode an integer of seven bits a byte, and return the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
