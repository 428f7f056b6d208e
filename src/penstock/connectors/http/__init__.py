"""Records from HTTP APIs.

httpx is imported when the first request is made.
"""

from penstock.connectors.http.address import at
from penstock.connectors.http.auth import ApiKey, Auth, Basic, Bearer, OAuth2ClientCredentials
from penstock.connectors.http.following import Cursor, LinkHeader, NextUrl
from penstock.connectors.http.incremental import Incremental
from penstock.connectors.http.pages import Offset, Page, Pages
from penstock.connectors.http.retries import Retries, Timeouts
from penstock.connectors.http.source import HttpApi

__all__ = [
    "ApiKey",
    "Auth",
    "Basic",
    "Bearer",
    "Cursor",
    "HttpApi",
    "Incremental",
    "LinkHeader",
    "NextUrl",
    "OAuth2ClientCredentials",
    "Offset",
    "Page",
    "Pages",
    "Retries",
    "Timeouts",
    "at",
]
