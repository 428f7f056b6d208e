"""No secret is in anything that a connection, the journal, the command line or an error gives to anybody.

Every secret here holds a mark. Whatever comes out is searched for it: as it is (percent-encoding, JSON and repr leave
its letters alone) and as base64 would have it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from penstock.app import Penstock, Settings
from penstock.cli import root
from penstock.connections import BadFields, Connection, ConnectionFailed, PostgresConnection, Secret, SecretUrl, shelf
from penstock.core.secrets import masked_url, redacted
from penstock.engine.connections.environment import Environment
from penstock.engine.connections.types import type_named
from penstock.engine.fingerprints import fingerprint
from penstock.engine.shown import shown
from penstock.journal.results import FileResultStore

MARK = "qZxVkWjYbH"
_SIGNS = [MARK, *(base64.b64encode(b"_" * skip + MARK.encode() + b"_")[3:-4].decode() for skip in (1, 2, 3))]
secrets = st.builds(
    lambda before, after: f"{before}{MARK}{after}",
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.text(st.sampled_from("@:/?#%&=+ '\"\\\n\r\t{}[]☃é$`|;,0aZ"), max_size=12),
)

SECRETIVE: list[tuple[str, Callable[[str], dict[str, Any]]]] = [
    ("postgres", lambda s: {"host": "127.0.0.1", "port": 1, "user": "u", "password": s}),
    ("postgres", lambda s: {"url": f"postgresql://u:{quote(s, safe='')}@127.0.0.1:1/d"}),
    ("http", lambda s: {"base_url": "http://127.0.0.1:1", "auth": "basic", "username": "u", "password": s}),
    ("http", lambda s: {"base_url": "http://127.0.0.1:1", "auth": "bearer", "token": s}),
    ("http", lambda s: {"base_url": "http://127.0.0.1:1", "auth": "api-key", "api_key": s}),
    ("http", lambda s: {"base_url": "http://127.0.0.1:1", "auth": "api-key", "api_key": s, "api_key_in": "query"}),
    (
        "http",
        lambda s: {
            **{"base_url": "http://127.0.0.1:1", "auth": "oauth2", "token_url": "http://127.0.0.1:1/token"},
            **{"client_id": "c", "client_secret": s, "client_auth": "form"},
        },
    ),
    ("http", lambda s: {"url": f"http://u:{quote(s, safe='')}@127.0.0.1:1/"}),
    ("s3", lambda s: {"access_key": "k", "secret_key": s, "session_token": s}),
    ("influx", lambda s: {"url": "http://127.0.0.1:1", "token": s}),
    ("sql", lambda s: {"url": f"nodialect://u:{quote(s, safe='')}@h/d"}),
    ("sql", lambda s: {"url": f"nodialect://u:{s}@h/d"}),
    ("sql", lambda s: {"url": f"nodialect://h/d?token={quote(s, safe='')}"}),
    ("snowflake", lambda s: {"account": "a", "user": "u", "password": s}),
    ("bigquery", lambda s: {"project": "p", "credentials_json": s}),
    (
        "kafka",
        lambda s: {
            **{"bootstrap_servers": "127.0.0.1:1", "security_protocol": "SASL_PLAINTEXT"},
            **{"sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": s},
        },
    ),
]


def assert_silent(*told: object) -> None:
    for each in told:
        text = each.decode("latin-1") if isinstance(each, bytes) else str(each)
        for sign in _SIGNS:
            assert sign not in text, "a secret was shown"


def everything_of(error: BaseException) -> Iterator[str]:
    """What any way of showing an error could show: the errors behind it, and the variables of our own functions."""
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None:
            continue
        waiting += [each.__cause__, each.__context__]
        yield f"{each!r} {each} {vars(each)}"
        trace = each.__traceback__
        while trace is not None:
            if "/penstock/" in trace.tb_frame.f_code.co_filename:
                for name, value in trace.tb_frame.f_locals.items():
                    with contextlib.suppress(AttributeError):  # half made
                        yield f"{trace.tb_frame.f_code.co_qualname}: {name}={value!r}"
            trace = trace.tb_next


@contextmanager
def project() -> Iterator[tuple[Penstock, Path]]:
    """A Penstock of its own, and all that it logs."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        log = io.StringIO()
        handler = logging.StreamHandler(log)
        logging.getLogger().addHandler(handler)
        app = Penstock(Settings(home=str(home)))
        try:
            with mock.patch.dict(os.environ, {"PENSTOCK_HOME": str(home)}), app.activate():
                yield app, home
        finally:
            app.close()
            logging.getLogger().removeHandler(handler)
        assert_silent(log.getvalue())


def command(*words: str, stdin: str = "") -> str:
    """What a command writes."""
    out, err = io.StringIO(), io.StringIO()
    source = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch.object(sys, "stdin", source):
        root.call(list(words))
    return out.getvalue() + err.getvalue()


def refusals(work: Callable[[], object]) -> None:
    """It may raise, and then nothing of the error shows the secret."""
    error = None
    try:
        work()
    except Exception as raised:
        error = raised
    if error is not None:
        assert_silent(*everything_of(error))


@pytest.mark.parametrize("case", range(len(SECRETIVE)))
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(secret=secrets)
@example(secret=MARK)
@example(secret=f"a@{MARK}:/?#")
@example(secret=f"\n{MARK}\x00")
def test_a_connection_keeps_its_secret(case: int, secret: str) -> None:
    kind, fields = SECRETIVE[case]
    cls = type_named(kind)
    made: list[Connection] = []
    refusals(lambda: made.append(cls.of(fields(secret))))
    refusals(lambda: cls.of({**fields(secret), "nonsense": secret, "url": secret}))
    refusals(lambda: cls.of({**{name: [secret] for name in cls.fields()}, "pool_min": secret}))
    refusals(lambda: cls(**{name: {secret: secret} for name in cls.fields()}))
    refusals(lambda: cls.from_url(f"{(*cls.schemes, 'x')[0]}://{secret}@h:x/{secret}?{secret}"))
    for connection in made:
        assert_silent(repr(connection), str(connection), f"{connection}", connection.shown(), vars(connection))
        assert_silent(json.dumps(connection.shown()), msgspec.json.encode(connection.shown()))
        assert_silent(shown(connection), fingerprint(connection), connection.redact(f"x {secret} y {quote(secret)}"))
        for value in vars(connection).values():
            assert_silent(value, repr(value), f"{value!s:>3}")
        refusals(lambda connection=connection: connection.replace(nonsense=secret, host=secret, url=secret))
        refusals(lambda connection=connection: pickle.dumps(connection))
        refusals(lambda connection=connection: msgspec.json.encode(connection))


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(case=st.integers(0, len(SECRETIVE) - 1), secret=secrets)
def test_what_is_kept_and_told_of_it(case: int, secret: str) -> None:
    kind, fields = SECRETIVE[case]
    with project() as (app, home):
        try:
            connection = type_named(kind).of(fields(secret))
        except BadFields:
            return
        connection.save("warehouse")
        assert connection.load("warehouse") == connection
        assert_silent(shelf().listed(), app.journal.connections(), shelf().rotate())
        assert_silent(*(repr(stored) for stored in app.journal.read(0)))
        assert_silent(pickle.dumps(connection), FileResultStore(home / "results").save(connection))
        assert_silent(command("connection", "show", "warehouse"), command("connection", "show", "warehouse", "--json"))
        assert_silent(command("connection", "list", "--json"), command("events", "list", "--json"))
        connection.save("warehouse", overwrite=True)
        files = [file for file in home.rglob("*") if file.is_file()]
        assert any(file.name == "journal.db" for file in files)
        assert_silent(*(file.read_bytes() for file in files))
        (home / "connections.key").unlink()
        refusals(lambda: Connection.load("warehouse"))
        refusals(lambda: connection.save("other"))
        assert_silent(command("connection", "delete", "warehouse", "--yes"))


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(secret=secrets)
def test_the_command_line(secret: str) -> None:
    secret = secret.rstrip("\r\n")  # a line break at the end is not part of it
    with project() as (_, home):
        create = ("connection", "create", "postgres", "warehouse", "--host", "127.0.0.1", "--port", "1")
        assert_silent(command(*create, "--password", "-", stdin=secret + "\n"))
        found = PostgresConnection.load("warehouse")
        assert found.password is not None
        assert found.password.reveal() == secret
        (home / "secret").write_text(secret)
        assert_silent(command(*create, "--password-file", str(home / "secret"), "--port", "x", "--overwrite"))
        assert_silent(command(*create, "--sslmode", "-", "--overwrite", stdin=secret))
        assert_silent(command("connection", "create", "sql", "other", "--url", "-", stdin=f"x://u:{secret}@h"))
        assert_silent(command("connection", "list"), command("connection", "show", "other"))
        (home / "secret").unlink()


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(secret=secrets, name=st.sampled_from(["password", "host", "sslmode", "nonsense"]))
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(secret: str, name: str) -> None:
    """It is on the command line already; all that can be done is to add nothing to it."""
    if secret.startswith("--"):
        return
    with project():
        told = command("connection", "create", "postgres", "w", "--password", secret, f"--{name}={secret}")
        assert "--password: is a secret" in told
        assert_silent(told)
        assert "There are no connections yet" in command("connection", "list")


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(secret=secrets, form=st.integers(0, 6))
def test_the_environment(secret: str, form: int) -> None:
    value = [
        secret,
        f"postgresql://u:{secret}@h:1/d",
        f"http://u:{secret}@h:1/d",
        f"nodialect+x://u:{secret}@h",
        json.dumps({"type": "postgres", "password": secret, "port": secret}),
        json.dumps({"type": secret}),
        '{"type": "http", "token": "' + secret,
    ][form]
    with project() as (_, home):
        (home.parent / "home" / ".env").write_text(f"PENSTOCK_CONNECTION_B={secret}\nnonsense {secret}\n")
        environment = Environment({"PENSTOCK_CONNECTION_A": value}, home)
        assert_silent(repr(environment), vars(environment).keys())
        refusals(environment.listed)
        clean = {"PENSTOCK_CONNECTION_A": value.replace("\x00", "")}
        with mock.patch.dict(os.environ, clean):
            refusals(lambda: Connection.load("a"))
            assert_silent(command("connection", "list"), command("connection", "list", "--json"))
            assert_silent(command("connection", "show", "a"), command("connection", "show", "a", "--json"))
        (home.parent / "home" / ".env").unlink()


@pytest.mark.parametrize("case", range(len(SECRETIVE)))
@pytest.mark.parametrize("secret", [MARK, f"a b@{MARK}:/?#'\"", f"line\n{MARK}"])
def test_a_failed_health_test(case: int, secret: str, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    kind, fields = SECRETIVE[case]
    caplog.set_level(logging.DEBUG)
    connection = type_named(kind).of(fields(secret))
    with pytest.raises(ConnectionFailed) as caught:
        connection.test(0.3)
    assert_silent(*everything_of(caught.value), caplog.text, *capfd.readouterr())
    assert caught.value.__context__ is None


def test_a_driver_that_tells_the_password() -> None:
    class Chatty(Connection):
        kind = "chatty"
        password: Secret
        url: SecretUrl

        def check(self, seconds: float) -> str:
            given = {"password": self.password.reveal()}
            raise RuntimeError(f"no way in with {given} at {self.url.reveal()}")

    chatty = Chatty(password=f"it's {MARK}", url=f"x://u:{quote(MARK)}%40@h/d?key={MARK}%21")
    with pytest.raises(ConnectionFailed, match=r"RuntimeError: no way in with .*\*\*\*") as caught:
        chatty.test()
    assert_silent(*everything_of(caught.value))
    with pytest.raises(ConnectionFailed, match="what was said is not shown"):
        chatty.replace(password="no").test()


@given(secret=secrets, wrap=st.sampled_from(["{}", "say '{}'", "x{}{}y"]))
def test_redaction(secret: str, wrap: str) -> None:
    for form in (secret, quote(secret, safe=""), repr(secret), json.dumps(secret)):
        assert_silent(redacted(wrap.replace("{}", form), [secret]))


@given(secret=secrets, before=st.sampled_from(["x://u:", "x://", "x+y://u@v:", "x:///d?a=", "x://h/d#", ""]))
def test_masked_urls(secret: str, before: str) -> None:
    plain_password = before in ("x://", "")  # then it is the host, or no URL
    url = f"{before}{secret}" + ("@h:1/d?x=y" if "u" in before else "")
    if not plain_password or "/" not in url.removeprefix("x://"):
        assert MARK not in masked_url(url).replace(f"x://{MARK}", "") or plain_password


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("x://u:p@h:1/d", "x://u:***@h:1/d"),
        ("x://u@h/d", "x://u@h/d"),
        ("sqlite:///some/file.db", "sqlite:///some/file.db"),
        ("x://h/d?a=b#c", "x://h/d?***"),
        ("x://u:p@ss@h/d", "x://***"),
        ("x://u:p?w@h/d", "x://***"),
        ("x://u:p#w@h/d", "x://***"),
        ("x://u:pw", "x://***"),
        ("x://h:80", "x://h:80"),
        ("x://[::1]:80/d", "x://[::1]:80/d"),
        ("x://a:1,b:2/d", "x://a:1,b:2/d"),
        ("x://u'u:p@h/d", "x://***:***@h/d"),
        ("x://h/a b", "x://***"),
        ("no url", "***"),
        ("", "***"),
    ],
)
def test_what_is_left_of_a_url(url: str, masked: str) -> None:
    assert masked_url(url) == masked
