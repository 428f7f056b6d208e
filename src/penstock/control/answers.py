"""Answers that are long, or many."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response

_encode = msgspec.json.Encoder().encode


class Encoded(Response):
    """Records as they are, encoded at once: the model that describes them would make each of them anew."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """See `Response`."""
        return _encode(content)
