"""Alerts that are sent: over HTTP, and by email."""

from penstock.observability.alerts.channels import KINDS, deliver
from penstock.observability.alerts.slack import Remembered

__all__ = ["KINDS", "Remembered", "deliver"]
