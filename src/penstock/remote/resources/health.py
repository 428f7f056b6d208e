"""Whether the server lives, and can do its work."""

from __future__ import annotations

from typing import Any

from penstock.remote.calls import Call, K, Resource, operation


class Health(Resource[K]):
    """Whether the server lives, and can do its work."""

    @operation
    def live(self) -> Call[dict[str, str]]:
        """It answers."""
        return Call(method="GET", path=("health", "live"), root=True, answer=dict[str, str])

    @operation
    def ready(self) -> Call[dict[str, Any]]:
        """Each thing it needs. Where something is away, that is waited for within the client's patience."""
        return Call(method="GET", path=("health", "ready"), root=True, answer=dict[str, Any])
