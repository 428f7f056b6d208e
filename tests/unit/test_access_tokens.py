"""What is kept and signed: tokens that were tampered with, signing keys, hashes of passwords."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.unit.access_site import PASSWORD, Site, quick_hashes  # noqa: F401 - a fixture
from tests.unit.test_control_api import penstock  # noqa: F401 - a fixture

from penstock.app import Penstock
from penstock.control.auth import passwords as hashing
from penstock.control.auth import signing
from penstock.control.auth.log import Change, entry_of
from penstock.core.clock import now_us
from penstock.core.errors import BadConnection
from penstock.engine.connections.secret import SecretConnection


@pytest.fixture
def site(penstock: Penstock, quick_hashes: None) -> Iterator[Site]:  # noqa: F811
    found = Site(penstock)
    with found.http:
        yield found


def _part(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_tokens_that_were_tampered_with(site: Site) -> None:
    jwt: Any = pytest.importorskip("jwt")
    site.account("ann", "viewer")
    site.account("bob", "admin")
    good = site.sign_in("ann")["access_token"]
    head, body, mac = good.split(".")
    header = jwt.get_unverified_header(good)
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    (key,) = site.auth.signing._keys

    def signed(
        secret: Any = key.raw, how: str = "HS256", kid: Any = key.kid, typ: str = "at+jwt", **changes: Any
    ) -> str:
        told = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        with warnings.catch_warnings():  # some of these secrets are short on purpose
            warnings.simplefilter("ignore")
            made: str = jwt.encode(told, secret, how, headers={"kid": kid, "typ": typ})
        return made

    assert site.get("/auth/me", signed()).status_code == 200
    now = now_us() // 1_000_000
    wrong = {
        "alg none": f"{_part({**header, 'alg': 'none'})}.{body}.",
        "alg NONE with the mac": f"{_part({**header, 'alg': 'NONE'})}.{body}.{mac}",
        "another algorithm": signed(how="HS512"),
        "RS256 said, HMAC used": f"{_part({**header, 'alg': 'RS256'})}.{body}.{mac}",
        "body changed": f"{head}.{_part({**claims, 'sub': 'bob'})}.{mac}",
        "mac cut": good[:-4],
        "mac of another": f"{head}.{body}.{_part(b'0' * 32)}",
        "no mac": f"{head}.{body}.",
        "another key": signed(b"x" * 32),
        "kid unknown": signed(kid="0" * 16),
        "kid as a path": signed(kid="../../../dev/null"),
        "kid of SQL": signed(kid="' OR 1=1 --"),
        "another kind of token": signed(typ="JWT"),
        "another audience": signed(aud="other"),
        "several audiences": signed(aud=[signing.AUDIENCE, "other"]),
        "another issuer": signed(iss="penstock/other"),
        "expired": signed(exp=now - 60, iat=now - 1000, nbf=now - 1000),
        "not yet": signed(nbf=now + 600),
        "made in the future": signed(iat=now + 600),
        "another's session": signed(sub="bob"),
        "a session that is none": signed(via="session/" + "0" * 32),
        "an account as session": signed(via="account/ann"),
        "nothing behind it": signed(via=""),
        "a number as subject": signed(sub=5),
        "deep": f"{_part(b'[' * 1500)}.{body}.{mac}",
        "not JSON": f"{_part(b'no')}.{_part(b'no')}.{mac}",
        **{f"without {name}": signed(**{name: None}) for name in claims},
    }
    for what, token in wrong.items():
        assert site.get("/auth/me", token).status_code == 401, what
    assert len(wrong) > 30


def test_signing_keys_change_and_former_ones_are_good_for_a_while(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.account("ann")
    before = site.sign_in("ann")["access_token"]
    assert site.auth.signing.rotate() == 1
    assert site.get("/auth/me", before).status_code == 200
    other = site.beside()  # a second server on the same journal
    assert other.get("/auth/me", site.sign_in("ann")["access_token"]).status_code == 200
    after = other.sign_in("ann")["access_token"]
    later = now_us() + signing.OVERLAP_US + 1_000_000
    monkeypatch.setattr(signing, "now_us", lambda: later)
    assert site.auth.signing.rotate() == 1  # the one that was replaced just now; the first one goes
    monkeypatch.undo()
    assert site.get("/auth/me", before).status_code == 401
    assert site.get("/auth/me", after).status_code == 200
    names = [each.name for each in site.auth.shelf.listed()]
    assert names == [signing.CONNECTION]
    kept = site.auth.journal.connections(signing.CONNECTION)[0].sealed
    assert key_text(site) not in kept


def key_text(site: Site) -> bytes:
    return msgspec.json.encode(site.auth.signing._keys[0].secret)[1:-1]


def test_nobody_puts_keys_of_their_own_in_the_place_of_those_that_sign(site: Site) -> None:
    site.account("eve", "editor")
    eve = site.sign_in("eve")["access_token"]
    body = {"type": "signing-keys", "fields": {"value": "[]"}}
    path = f"/connections/{signing.CONNECTION}"
    assert site.asked("PUT", path, eve, json=body).status_code == 403
    assert site.asked("DELETE", path, eve).status_code == 403
    assert site.asked("POST", "/connections", eve, json={**body, "name": signing.CONNECTION}).status_code == 403
    hook = {"slug": "git", "signature": {"scheme": "github"}, "secrets": [{"connection": signing.CONNECTION}]}
    call = {"type": "call", "url": "https://a.example", "sign": signing.CONNECTION}
    automation = {"name": "tells", "trigger": {"event": "x"}, "actions": [call]}
    for where, named in (("/webhooks", hook), ("/automations", automation)):
        answer = site.asked("POST", where, eve, json=named)
        assert answer.status_code == 422, answer.text
        assert "is Penstock's own" in answer.json()["errors"][0]["message"]
    assert site.auth.signing._keys[0].secret not in site.get(path, eve).text
    assert site.get("/auth/me", eve).status_code == 200
    with pytest.raises(BadConnection, match="signing-keys"):  # whatever sends secrets elsewhere by their name
        site.auth.shelf.load(signing.CONNECTION, SecretConnection)


def test_passwords_are_hashed_as_the_library_does_it(penstock: Penstock) -> None:  # noqa: F811
    kept = hashing.hashed("correct horse")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert hashing.fits(kept, "correct horse")
    assert hashing.fits(hashing.hashed("\uff21ngstrom\u0301"), "Angstroḿ"), "what looks the same is the same"
    assert not hashing.fits(kept, "correct horse ")
    assert not hashing.fits(None, "correct horse")
    assert not hashing.fits("no hash", "correct horse")
    weak: Any = pytest.importorskip("argon2").PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    site = Site(penstock)
    site.account("ann")
    row = site.auth.accounts.row("ann")
    assert row is not None
    data = {**msgspec.json.decode(row.data), "password": weak.hash(PASSWORD)}
    old = msgspec.structs.replace(row, data=msgspec.json.encode(data))
    site.auth.log.change(lambda: Change(entry_of("Aged", row.name), [old]))
    with site.http:
        site.sign_in("ann")
        site.sign_in("ann")
    found = site.auth.accounts.get("ann").password
    assert found is not None
    assert found.startswith("$argon2id$v=19$m=65536")
    assert [each["action"] for each in site.audit()].count("PasswordRehashed") == 1
