"""The detectors there are, by their names."""

from __future__ import annotations

import difflib
from typing import Any

from penstock.core.errors import ConfigurationError
from penstock.quality.anomalies import contract
from penstock.quality.anomalies.change import Cusum
from penstock.quality.anomalies.contract import Detector
from penstock.quality.anomalies.forest import Forest
from penstock.quality.anomalies.ranks import Iqr, Mad
from penstock.quality.anomalies.seasonal import Seasonal
from penstock.quality.anomalies.spread import Ewma, ZScore
from penstock.quality.anomalies.tails import Tails

DETECTORS: dict[str, type[Detector]] = {
    each.name: each for each in (Tails, ZScore, Mad, Iqr, Ewma, Seasonal, Cusum, Forest)
}


def detector(name: str, **settings: Any) -> Detector:
    """A new detector.

    Args:
        name: one of `DETECTORS`.
        settings: of that detector.

    Raises:
        ConfigurationError: there is no such detector, or no such setting.
    """
    kind = DETECTORS.get(name)
    if kind is None:
        raise unknown(name, list(DETECTORS))
    try:
        return kind(**settings)
    except TypeError as error:
        known = ", ".join(kind.__dataclass_fields__)
        wrong = ", ".join(sorted(set(settings) - set(kind.__dataclass_fields__)))
        raise ConfigurationError(f"{name} has no setting {wrong}.", hint=f"it has: {known}") from error


def resume(state: bytes) -> Detector:
    """The detector that gave this state, as it was then.

    Raises:
        BadData: it is no such state, or of a version that this one does not know.
    """
    return contract.resume(state, DETECTORS)


def unknown(name: str, known: list[str]) -> ConfigurationError:
    """There is no method of this name."""
    close = difflib.get_close_matches(name, known, 1)
    meant = f"did you mean {close[0]}? " if close else ""
    return ConfigurationError(f"There is no method {name!r}.", hint=f"{meant}there are: {', '.join(known)}")
