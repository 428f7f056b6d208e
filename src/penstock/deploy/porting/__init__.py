"""Flows that were written for another orchestrator, taken over."""

from penstock.deploy.porting.airflow import port_airflow
from penstock.deploy.porting.findings import BadPort, Finding, Ported, Verdict
from penstock.deploy.porting.prefect import port_prefect

__all__ = ["BadPort", "Finding", "Ported", "Verdict", "port_airflow", "port_prefect"]
