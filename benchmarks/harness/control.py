"""The topics of the API: a server that is asked over HTTP.

The contender's program starts its server, has `load.py` ask it, looks at what was answered and at what is then in its
database, and ends the server; here its answer is taken.
"""

from collections.abc import Callable

from harness.contenders import Contender
from harness.session import Session

Sample = dict[str, float]
REFERENCE = "penstock-api"
LIMIT_SECONDS = 3_600.0


def asked(topic: str) -> Callable[[Session, Contender, int], tuple[Sample, str]]:
    """The measurement of a topic; what is no number of its answer is the remark."""

    def measure(session: Session, contender: Contender, size: int) -> tuple[Sample, str]:
        with session.place(contender) as place:
            said = place.run(topic, str(size), limit=LIMIT_SECONDS).said
        remarks = [value for value in said.values() if isinstance(value, str)]
        return {key: value for key, value in said.items() if isinstance(value, int | float)}, "; ".join(remarks)

    return measure
