"""Arrays of numbers in JSON: as text, compressed."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from penstock.quality.extras import np

_LARGEST = 64 << 20


def packed(values: NDArray[Any], kind: str) -> str:
    """An array as text. `kind` is a NumPy type of one byte order, such as `<f8`."""
    return base64.b64encode(zlib.compress(values.astype(kind).tobytes(), 6)).decode()


def unpacked(text: str, kind: str) -> NDArray[Any]:
    """The array that was packed.

    Raises:
        ValueError: nothing was, or more than any profile holds.
    """
    try:
        opened = zlib.decompressobj()
        data = opened.decompress(base64.b64decode(text, validate=True), _LARGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not opened.eof:
        raise ValueError("an array that ends in the middle, or is too large")
    made: NDArray[Any] = np.frombuffer(data, dtype=kind).astype(np.dtype(kind).newbyteorder("="))
    return made
