"""A server from elsewhere: a typed client of its API, for programs and for `penstock --server`."""

from penstock.remote.client import AsyncClient, Client
from penstock.remote.errors import (
    AnswerLost,
    NotAllowed,
    NotPenstock,
    NotSignedIn,
    ServerError,
    ServerUnavailable,
)

__all__ = [
    "AnswerLost",
    "AsyncClient",
    "Client",
    "NotAllowed",
    "NotPenstock",
    "NotSignedIn",
    "ServerError",
    "ServerUnavailable",
]
