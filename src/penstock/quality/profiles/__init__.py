"""What is in the data: profiles, rules that they suggest, and how two of them differ."""

from penstock.quality.profiles.column import Bin, ColumnProfile
from penstock.quality.profiles.drift import ColumnDrift, DriftReport, Limits, drift
from penstock.quality.profiles.moments import Pair
from penstock.quality.profiles.profile import Profile, profile
from penstock.quality.profiles.suggesting import Suggestions, suggest
from penstock.quality.profiles.suggestion import Suggestion

__all__ = [
    "Bin",
    "ColumnDrift",
    "ColumnProfile",
    "DriftReport",
    "Limits",
    "Pair",
    "Profile",
    "Suggestion",
    "Suggestions",
    "drift",
    "profile",
    "suggest",
]
