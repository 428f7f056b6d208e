"""How the server is set up, and that it listens nowhere else while nobody has to sign in."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from penstock.control.server import listening
from penstock.control.settings import ServerSettings, load_server_settings
from penstock.core.errors import ConfigurationError


def test_given_over_environment_over_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.penstock.server]\nport = 1\nmax_body_bytes = 5\ncors_origins = ["https://a.example"]\n'
    )
    environ = {"PENSTOCK_SERVER_PORT": "2", "PENSTOCK_SERVER_BODY_SECONDS": "1.5"}
    found = load_server_settings(environ, tmp_path)
    assert found == ServerSettings(port=2, max_body_bytes=5, body_seconds=1.5, cors_origins=("https://a.example",))
    assert load_server_settings(environ, tmp_path, port=3, host=None).port == 3
    several = load_server_settings({"PENSTOCK_SERVER_CORS_ORIGINS": "http://a, http://b"}, tmp_path)
    assert several.cors_origins == ("http://a", "http://b")


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("HOST", "0.0.0.0", "nobody has to sign in"),
        ("HOST", "::", "nobody has to sign in"),
        ("HOST", "example.com", "nobody has to sign in"),
        ("AUTH", "maybe", "none or required"),
        ("PORT", "65536", "not between"),
        ("PORT", "x", "wrong"),
        ("MAX_BODY_BYTES", "0", "greater than 0"),
        ("BODY_SECONDS", "-1", "greater than 0"),
        ("CORS_ORIGINS", "*", "is no origin"),
    ],
)
def test_what_cannot_be(tmp_path: Path, variable: str, value: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        load_server_settings({f"PENSTOCK_SERVER_{variable}": value}, tmp_path)


def test_addresses_of_this_machine(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "127.0.0.7", "::1", "localhost"):
        assert load_server_settings({"PENSTOCK_SERVER_HOST": host}, tmp_path).host == host


def test_elsewhere_where_everybody_signs_in(tmp_path: Path) -> None:
    environ = {"PENSTOCK_SERVER_AUTH": "required", "PENSTOCK_SERVER_KNOWN_HOSTS": "a.example, b.example"}
    for host in ("0.0.0.0", "::", "ops.example"):
        found = load_server_settings({**environ, "PENSTOCK_SERVER_HOST": host}, tmp_path)
        assert (found.host, found.known_hosts) == (host, ("a.example", "b.example"))


def test_an_unknown_setting(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.penstock.server]\nprot = 1\n")
    with pytest.raises(ConfigurationError, match="prot"):
        load_server_settings({}, tmp_path)


def test_answers_are_sent_at_once() -> None:
    with listening(ServerSettings(port=0)) as place, socket.create_connection(place.getsockname()) as client:
        accepted, _ = place.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP  # else asyncio leaves small answers waiting for an ACK
        assert client.fileno() != -1


def test_a_port_that_is_taken() -> None:
    with listening(ServerSettings(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Something listens on port {port} already"):
            listening(ServerSettings(port=port))
