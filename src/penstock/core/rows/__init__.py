"""Rows as Arrow tables: their types, casts, and what does not fit.

pyarrow is imported when the first of these is used.
"""

from penstock.core.rows.casting import Fitted, fit
from penstock.core.rows.conforming import Conformed, Misfit, conform, without
from penstock.core.rows.inference import kind_of, kinds_of
from penstock.core.rows.records import Gathered, gather, solid
from penstock.core.rows.rejecting import rejections
from penstock.core.rows.schemas import union
from penstock.core.rows.streams import first_rows

__all__ = [
    "Conformed",
    "Fitted",
    "Gathered",
    "Misfit",
    "conform",
    "first_rows",
    "fit",
    "gather",
    "kind_of",
    "kinds_of",
    "rejections",
    "solid",
    "union",
    "without",
]
