"""What goes wrong with data."""

from __future__ import annotations

from penstock.core.errors.base import NotFound, PenstockError


class DataError(PenstockError):
    """Data could not be brought in, kept or found."""

    code = "data"


class SourceUnavailable(DataError):
    """The source cannot be reached."""

    code = "source-unavailable"
    hint = "what has landed stays; the next time goes on from there"


class SourceChanged(DataError):
    """What was to be read is not there any more."""

    code = "source-changed"


class BadData(DataError, ValueError):
    """The data cannot be read."""

    code = "bad-data"


class SinkUnavailable(DataError):
    """The sink cannot be reached."""

    code = "sink-unavailable"
    hint = "what has landed stays; the next time goes on from there"


class SchemaRefused(DataError, ValueError):
    """The table and the rows for it do not go together."""

    code = "schema-refused"


class PipeTakenOver(DataError):
    """Another process goes on with this pipe; this one has stopped, and wrote nothing twice."""

    code = "pipe-taken-over"


class Unbalanced(DataError):
    """The records that were read are not those that landed or were rejected."""

    code = "unbalanced"
    hint = "this is a defect of the source or the sink: please report it"


class ConnectionNotFound(NotFound, DataError):
    """There is no such connection."""

    code = "connection-not-found"
    hint = "penstock connection list shows those there are"


class BadConnection(DataError, ValueError):
    """A connection that cannot be."""

    code = "bad-connection"


class DatasetNotFound(NotFound, DataError):
    """There is no such dataset."""

    code = "dataset-not-found"
    hint = "penstock dataset list shows those there are"
