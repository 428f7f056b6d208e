"""Flows of Penstock on Prefect: deployments there, and what executes them in Prefect's processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.deploy.prefect.abilities import ABILITIES

if TYPE_CHECKING:
    from penstock.core.engines import EngineSettings
    from penstock.core.ports.engines import OutsideEngine

__all__ = ["ABILITIES", "prefect_engine"]


def prefect_engine(settings: EngineSettings) -> OutsideEngine:
    """The engine of a Prefect server; the entry point `prefect` of the group `penstock.engines`.

    Raises:
        ConfigurationError: PREFECT_API_URL is missing or no address.
    """
    from penstock.deploy.prefect.engine import PrefectEngine

    return PrefectEngine(settings)
