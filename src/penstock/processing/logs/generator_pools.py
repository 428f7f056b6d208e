"""What generated traffic is made of: clients, requests, referrers, agents, and lines that mean nothing."""

from __future__ import annotations

from typing import Any

from penstock.processing.logs.extras import Array, np, pl

LINE_BYTES = 216
"""A generated line is so long, about."""

_PAGES = 400
_PRODUCTS = 3000
_WORDS = ["lamp", "chair", "table", "sofa", "shelf", "desk", "rug", "bed", "clock", "mirror", "vase", "plant"]
_BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{}.1 Safari/605",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 14; Pixel {}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile",
)
_ROBOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "curl/8.5.0",
    "python-requests/2.32.3",
)
_PROBED = (
    "/wp-login.php", "/.env", "/phpmyadmin/index.php", "/admin/config.php", "/.git/config", "/xmlrpc.php",
    "/cgi-bin/luci", "/vendor/phpunit/src/Util/PHP/eval-stdin.php", "/actuator/env", "/backup.sql",
)  # fmt: skip
BROKEN = (
    b'10.0.0.7 - - [05/Jan/2026:10:00:00 +0000] "GET /cut/short HTTP/1.1" 200 512 "-" "Mozilla/5.0 (cut',
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xff\xfe\x80",
    b"java.lang.NullPointerException: at shop.Cart.total(Cart.java:71)",
    b'10.0.0.9 - - [31/Feb/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8.5.0"',
    b'10.0.0.8 - - [05/Jan/2026:10:00:00 +0000] "GET /no/status HTTP/1.1" - 17 "-" "curl/8.5.0"',
    b"10.0.0.6 - -",
)
"""No line of any access log."""


class Pools:
    """Everything lines are put together from; a few are met often, most seldom."""

    def __init__(self, rng: Any, clients: int) -> None:
        numbers = rng.choice(1 << 24, clients, replace=False)
        self._addresses = [_address(number) for number in numbers.tolist()]
        self._scanners: dict[str, int] = {}
        self._clients: Any = None
        agents = [text.format(*[number] * text.count("{}")) for text in _BROWSERS for number in range(3, 27)]
        agents += _ROBOTS
        self.agents = pl.Series([f'"{agent}"' for agent in agents], dtype=pl.String)
        self.agent_of = (len(agents) * rng.random(clients) ** 1.5).astype(np.int64)
        requests = _requests(rng)
        self._ordinary = len(requests)
        requests += [f"GET {path} HTTP/1.1" for path in _PROBED]
        self.requests = pl.Series([f'"{request}"' for request in requests], dtype=pl.String)
        self.size_of = np.minimum(rng.lognormal(8.5, 0.8, len(requests)), 60_000).astype(np.int64) + 200
        pages = [f"https://shop.example/{word}/{number}" for word in _WORDS for number in range(20)]
        pages += [f"https://www.google.com/search?q={word}" for word in _WORDS]
        self.referrers = pl.Series(['"-"'] + [f'"{page}"' for page in pages], dtype=pl.String)

    def scanner(self, number: int) -> str:
        """A client that nobody else is."""
        address = f"203.0.113.{number % 254 + 1}" if number < 254 else f"198.51.{number // 254 % 254}.{number % 254}"
        if address not in self._scanners:
            self._scanners[address] = len(self._addresses)
            self._addresses.append(address)
            self.agent_of = np.append(self.agent_of, len(self.agents) - 1)
        return address

    @property
    def clients(self) -> Any:
        """Each with who it says it is: nobody."""
        if self._clients is None or len(self._clients) < len(self._addresses):
            self._clients = pl.Series([f"{address} - -" for address in self._addresses], dtype=pl.String)
        return self._clients

    def some_clients(self, rng: Any, count: int) -> Array:
        """Numbers of ordinary clients."""
        few = len(self._addresses) - len(self._scanners)
        return (few * rng.random(count) ** 2).astype(np.int64)

    def some_requests(self, rng: Any, count: int) -> Array:
        """Numbers of ordinary requests."""
        return (self._ordinary * rng.random(count) ** 3).astype(np.int64)

    def some_referrers(self, rng: Any, count: int) -> Array:
        """Numbers of referrers; mostly there is none."""
        share = rng.random(count)
        return np.where(share < 0.5, 0, (len(self.referrers) * (share * 2 - 1) ** 2).astype(np.int64))

    def probes(self, rng: Any, count: int, client: str) -> list[Array]:
        """What a scanner asks: client, agent, request, referrer, status and size."""
        who = np.full(count, self._scanners[client], np.int64)
        request = rng.integers(self._ordinary, len(self.requests), count)
        status = np.where(rng.random(count) < 0.95, 404, 403)
        return [who, self.agent_of[who], request, np.zeros(count, np.int64), status, rng.integers(150, 400, count)]


def _address(number: int) -> str:
    return f"{20 + (number >> 20)}.{number >> 12 & 255}.{number >> 4 & 255}.{(number & 15) * 16 + 7}"


def _requests(rng: Any) -> list[str]:
    """The most frequent first."""
    found = ["GET / HTTP/1.1", "GET /css/site.css HTTP/1.1", "GET /js/app.js HTTP/1.1", "POST /cart HTTP/1.1"]
    found += [f"GET /{_WORDS[number % len(_WORDS)]}/{number} HTTP/1.1" for number in range(_PAGES)]
    found += [f"GET /search?q={word}&page={page} HTTP/1.1" for page in range(1, 30) for word in _WORDS]
    found += [f"GET /products/{number} HTTP/2.0" for number in rng.permutation(_PRODUCTS).tolist()]
    found += [f"GET /products/{number}?ref=mail HTTP/1.1" for number in range(0, _PRODUCTS, 3)]
    found += [f"POST /api/orders/{number} HTTP/1.1" for number in range(200)]
    found += [f"HEAD /status/{number} HTTP/1.0" for number in range(20)]
    return found
