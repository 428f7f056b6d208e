"""`flow` and `Flow`, under Prefect's module name."""

from penstock.authoring.flows import Flow, flow
from penstock.authoring.loading import load_flow

__all__ = ["Flow", "flow", "load_flow"]
