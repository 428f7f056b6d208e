"""Deployments, under Prefect's name for them."""

from penstock.core.deployments import Deployment, Promises, Schedule
from penstock.orchestrator.services import run_deployment

__all__ = ["Deployment", "Promises", "Schedule", "run_deployment"]
