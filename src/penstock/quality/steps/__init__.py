"""Checks in flows: by declaration, as a call, and on datasets; quarantine, repairs, and what comes out again."""

from penstock.quality.steps.checking import OnFailure, Outcome, check
from penstock.quality.steps.declaring import validated
from penstock.quality.steps.gates import Checks

__all__ = ["Checks", "OnFailure", "Outcome", "check", "validated"]
