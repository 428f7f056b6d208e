"""Rows as Arrow tables: their types, casts, and what does not fit.

pyarrow is imported when the first of these is used.
"""

from penstock.core.rows.casting import Fitted, fit
from penstock.core.rows.conforming import Conformed, Misfit, conform, without
from penstock.core.rows.inference import kind_of, kinds_of
from penstock.core.rows.records import Gathered, gather, solid
from penstock.core.rows.schemas import union

__all__ = [
    "Conformed",
    "Fitted",
    "Gathered",
    "Misfit",
    "conform",
    "fit",
    "gather",
    "kind_of",
    "kinds_of",
    "solid",
    "union",
    "without",
]
