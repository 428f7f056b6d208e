"""An OpenID provider for tests that says whatever a test wants it to, at the wire; and browsers that go there."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CLIENT, SECRET = "penstock", "a secret of the client"
BACK = "http://127.0.0.1:49152/done"


@lru_cache(maxsize=20)
def _private(kid: str, kind: str, bits: int, owner: str) -> Any:
    return rsa.generate_private_key(65537, bits) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())


def key_of(kid: str, kind: str = "RSA", bits: int = 2048, owner: str = "") -> dict[str, Any]:
    """A key with which a provider signs, and what it shows of it."""
    private = _private(kid, kind, bits, owner)
    algorithm: Any = jwt.get_algorithm_by_name("RS256" if kind == "RSA" else "ES256")
    public = json.loads(algorithm.to_jwk(private.public_key()))
    return {"private": private, "public": {**public, "kid": kid, "use": "sig"}, "kid": kid}


class Provider:
    """Answers like an OpenID provider; what it answers can be changed.

    Attributes:
        issuer: what it calls itself.
        keys: it has; it signs with the last one.
        who: what it says of whoever signs in.
        metadata: what it says of itself besides.
        edit: changes what it signs.
        sign: signs, if not as it should.
        asked: paths of requests, in order.
        status: of its answers.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        self.first = key_of("one")
        self.reset()

    def reset(self) -> None:
        """Be as it should be."""
        self.keys = [self.first]
        self.who: dict[str, Any] = {"sub": "u-1", "preferred_username": "Eve", "groups": ["data"]}
        self.outside_of_the_token: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.edit: Callable[[dict[str, Any]], None] = lambda claims: None
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.asked: list[str] = []
        self.status = 200
        self.codes: dict[str, dict[str, str]] = {}
        self.client_headers: list[str | None] = []

    def signed(self, claims: dict[str, Any]) -> str:
        key = self.keys[-1]
        algorithm = "RS256" if key["public"]["kty"] == "RSA" else "ES256"
        return jwt.encode(claims, key["private"], algorithm, headers={"kid": key["kid"]})

    def of_itself(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            **self.metadata,
        }

    def sign_in(self, place: str) -> str:
        """What a browser does that is sent here: somebody signs in, and it is sent back. Gives the address."""
        parts = urlsplit(place)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.issuer}/authorize"
        asked = dict(parse_qsl(parts.query))
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def answer(self, path: str, body: bytes, authorization: str | None) -> tuple[int, Any]:
        self.asked.append(path)
        if self.status != 200:
            return self.status, {"error": "server_error"}
        if path == "/.well-known/openid-configuration":
            return 200, self.of_itself()
        if path == "/jwks":
            return 200, {"keys": [key["public"] for key in self.keys]}
        if path == "/userinfo":
            return 200, {"sub": self.who["sub"], **self.outside_of_the_token}
        if path == "/token":
            return self.token(dict(parse_qsl(body.decode())), authorization)
        return 404, {}

    def token(self, form: dict[str, str], authorization: str | None) -> tuple[int, Any]:
        self.client_headers.append(authorization)
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {**self.who, "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        self.edit(claims)
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.sign(claims)}


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, told = self.provider.answer(self.path, body, self.headers.get("Authorization"))
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _answer

    def log_message(self, *_: Any) -> None:
        """Nothing is written."""


@contextmanager
def providing() -> Iterator[Provider]:
    """A provider that listens."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.provider = Provider(server)  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield handler.provider  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


def query_of(place: str) -> dict[str, str]:
    """What stands behind the question mark."""
    return {name: values[0] for name, values in parse_qs(urlsplit(place).query).items()}
