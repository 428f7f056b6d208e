"""The topics of logs, rules and profiles: what is right, who may answer less, and what is made of the answers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "feeds"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contenders"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import checked
import log_judge
import order_rules
from harness import report, trust
from harness.budgets import BUDGETS
from harness.columns import COLUMNS
from harness.contenders import load
from harness.places import Failed
from harness.rounds import _Rounds as Rounds
from harness.session import Session
from harness.texts import METHODS, THINGS, TITLES
from harness.topics import TOPICS, TRUST
from harness.trust_budgets import TRUST as PROMISES
from made_results import result, row

ROWS = 100_000
GOOD = b'20.1.2.3 - - [05/Jan/2026:10:00:07 +0000] "GET /cart?id=7 HTTP/1.1" 200 512 "-" "curl/8.5.0"\n'
BAD = {
    "cut": GOOD[:-2] + b"\n",
    "binary": b"\x16\x03\x01\n",
    "no status": GOOD.replace(b" 200 ", b" - "),
    "no method": GOOD.replace(b"GET ", b""),
    "no time": GOOD.replace(b"[", b""),
    "bytes": GOOD.replace(b" 512 ", b" x "),
    "more": GOOD.replace(b"curl", b'cu"rl'),
}


def verdict(promise: str, results: dict[str, dict[str, Any]]) -> str:
    return next(budget.verdict(results)[1] for budget in BUDGETS if promise in budget.promise)


def test_every_topic_of_trust_has_its_words_columns_and_reference() -> None:
    contenders = {contender.name: contender for contender in load()[1]}
    for topic in TRUST:
        assert topic.name in TITLES
        assert topic.name in METHODS
        assert topic.name in COLUMNS
        assert topic.name in THINGS
        assert topic.name in contenders[topic.reference].topics


def test_every_budget_of_trust_names_who_takes_part() -> None:
    shown = {}
    for topic in TRUST:
        made = [
            row(one.name, size, seconds=1.0, peak_mb=1.0, p99=1.0)
            for one in load()[1]
            if topic.name in one.topics
            for size in topic.sizes or ()
        ]
        shown |= result(topic.name, *made)
    promised = [budget for budget in BUDGETS if budget.promise in {promise for promise, _, _ in PROMISES}]
    assert len(promised) == len(PROMISES)
    assert not [budget.promise for budget in promised if budget.verdict(shown)[1] == "not measured"]


def test_a_line_is_read_as_it_is_written() -> None:
    assert log_judge.parsed(GOOD) == (b"05/Jan/2026:10:00", b"/cart", b"200", 512)
    assert log_judge.parsed(GOOD.replace(b" 512 ", b" - ")) == (b"05/Jan/2026:10:00", b"/cart", b"200", 0)


@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
def test_what_is_no_line_is_none(line: bytes) -> None:
    assert log_judge.parsed(line) is None


def log_of(tmp_path: Path, *lines: bytes, malformed: int) -> str:
    path = tmp_path / "access.log"
    path.write_bytes(b"".join(lines))
    told = {"lines": len(lines), "malformed": [0] * malformed}
    Path(f"{path}.planted.json").write_text(json.dumps(told))
    return str(path)


def test_what_is_in_a_log(tmp_path: Path) -> None:
    never = GOOD.replace(b"05/Jan", b"31/Feb")
    later = GOOD.replace(b"10:00", b"10:01").replace(b" 200 ", b" 404 ").replace(b"/cart", b"/a")
    path = log_of(tmp_path, GOOD, GOOD, later, never, BAD["cut"], BAD["binary"], malformed=3)
    facts = log_judge.expect(path)
    minute = log_judge.minute_of(b"05/Jan/2026:10:00")
    assert minute is not None
    answer = log_judge.facts_of([[minute + 1, 404, 1, 512], [minute, 200, 2, 1024]], [["/cart", 2], ["/a", 1]])
    assert {name: facts[name] for name in answer} == answer
    assert (facts["requests"], facts["bytes"], facts["lines"], facts["not_found"]) == (3, 1536, 6, 1)
    assert (facts["lenient"], facts["lenient_200"], facts["lenient_404"]) == (5, 4, 1)


def test_a_log_that_is_not_what_its_maker_says_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="not what its maker says"):
        log_judge.expect(log_of(tmp_path, GOOD, BAD["cut"], malformed=0))


def test_one_request_in_a_wrong_minute_is_found() -> None:
    right = log_judge.facts_of([[1, 200, 5, 10], [2, 200, 5, 10]], [["/", 10]])
    wrong = log_judge.facts_of([[1, 200, 6, 10], [2, 200, 4, 10]], [["/", 10]])
    assert right["requests"] == wrong["requests"]
    assert right != wrong


def test_lines_are_written_evenly(tmp_path: Path) -> None:
    source, into, ready, marks = (str(tmp_path / name) for name in ("from", "to", "ready", "marks"))
    Path(source).write_bytes(b"a line\n" * 50)
    Path(ready).touch()
    assert log_judge.write(source, into, "50", "1000", ready, marks) == {"lines": 50}
    assert Path(into).read_bytes() == Path(source).read_bytes()
    assert [line.split()[0] for line in Path(marks).read_text().splitlines()] == ["10", "20", "30", "40", "50"]


def broken_in(number: int) -> dict[str, int]:
    """How many orders break a rule, by the arithmetic that they are made with."""
    places = {"customer": 7, "amount": 11, "status": 13, "email": 17, "shipped": 19, "id": 23}
    return {name: len(range(place, number, checked.EVERY[name])) for name, place in places.items()}


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, int]]:
    pytest.importorskip("duckdb")
    path = str(tmp_path_factory.mktemp("orders") / "orders.parquet")
    return path, checked.make(path, str(ROWS))


def test_as_many_orders_are_wrong_as_were_meant_to_be(orders: tuple[str, dict[str, int]]) -> None:
    (path, facts), wrong = orders, broken_in(ROWS)
    assert set(facts) == {*order_rules.PENSTOCK, trust.SURPLUS}
    counted = {name: facts[f"{name}_{what}"] for name, what in WRONG}
    assert counted == {name: wrong[name] for name, _ in WRONG}
    assert (facts[trust.SURPLUS], facts[trust.REPEATED]) == (wrong["id"], 2 * wrong["id"])
    assert all(wrong.values())
    assert {name for name, count in facts.items() if not count} == {
        "id_null", "quantity_range", "email_length", "amount_mean", "ordered_range", "row_count",
    }  # fmt: skip
    told = checked.profile(path)
    assert list(told) == [*checked.NUMBERS, *checked.MOMENTS, *checked.TEXTS]
    assert (told["id"]["rows"], told["customer"]["nulls"]) == (ROWS, wrong["customer"])
    trust.check_columns(told, told)


WRONG = [("customer", "null"), ("amount", "range"), ("status", "set"), ("email", "pattern"), ("shipped", "order")]


def test_values_that_come_twice_are_counted_in_either_way() -> None:
    facts = {"id_null": 0, trust.REPEATED: 4, trust.SURPLUS: 2}
    assert trust.expected_of(facts, {"id_null": 0, trust.REPEATED: 4}) == {"id_null": 0, trust.REPEATED: 4}
    assert trust.expected_of(facts, {"id_null": 0, trust.SURPLUS: 2}) == {"id_null": 0, trust.SURPLUS: 2}
    assert trust.expected_of(facts, {"id_null": 0}) == {"id_null": 0, trust.REPEATED: 4}


EXPECTED = {"a": {"rows": 10, "nulls": 1, "distinct": 100, "min": 0.1, "max": "z"}}
FALSE = {
    "nothing": {},
    "no distinct": {"a": {"rows": 10}},
    "rows": {"a": {"rows": 9, "distinct": 100}},
    "sketch": {"a": {"distinct": 89}},
    "least": {"a": {"distinct": 100, "min": 0.2}},
    "greatest": {"a": {"distinct": 100, "max": "y"}},
}


@pytest.mark.parametrize("told", FALSE.values(), ids=FALSE)
def test_a_profile_that_is_not_so_is_a_failure(told: dict[str, dict[str, Any]]) -> None:
    trust.check_columns(EXPECTED, {"a": {"distinct": 91, "nulls": None, "min": 0.1 + 1e-16}})
    with pytest.raises(Failed, match="a wrong profile"):
        trust.check_columns(EXPECTED, told)


@pytest.mark.parametrize(("own", "expected"), [(660.0, "met"), (670.0, "**NOT met**")])
def test_memory_is_compared_with_polars(own: float, expected: str) -> None:
    made = [row("penstock-logs", 2_000, seconds=1.0, peak_mb=own), row("polars-logs", 2_000, seconds=1.0, peak_mb=1e3)]
    assert verdict("the same: less than two thirds of its memory", result("logs", *made)) == expected


@pytest.mark.parametrize(("large", "expected"), [(125.0, "met"), (126.0, "**NOT met**")])
def test_memory_that_grows_with_the_file_is_found(large: float, expected: str) -> None:
    small = result("logs", row("penstock-logs", 2_000, seconds=1.0, peak_mb=100.0))
    both = small | result("logs-large", row("penstock-logs", 10_000, seconds=5.0, peak_mb=large))
    assert verdict("memory of a log of 10 GB", both) == expected
    assert verdict("memory of a log of 10 GB", small) == "not measured"


@pytest.mark.parametrize(("own", "expected"), [(1.0, "met"), (1.1, "**NOT met**")])
def test_the_quickest_validator_is_the_measure(own: float, expected: str) -> None:
    made = [row("penstock-validator", 10, seconds=own), row("pandera", 10, seconds=1.0), row("gx", 10, seconds=9.0)]
    assert verdict("ahead of every other validator", result("validator", *made)) == expected


def test_a_promise_of_ten_gigabytes_is_not_kept_by_less() -> None:
    shown = {size: result("logs-large", row("penstock-logs", size, seconds=1.0, peak_mb=9.0)) for size in (40, 10_000)}
    assert verdict("10 GB of log: below 1 GB", shown[40]) == "not measured"
    assert verdict("10 GB of log: below 1 GB", shown[10_000]) == "met"


def test_the_page_says_what_is_left_out() -> None:
    made = {**row("goaccess-logs", 2_000, seconds=1.0, peak_mb=1.0, lines=7.0), "remark": "no minutes"}
    page = report.render(result("logs", made, row("penstock-logs", 2_000, seconds=1.0, peak_mb=1.0, lines=7.0)))
    assert "| no minutes |" in page
    assert f"## {TITLES['logs']}" in page


def test_only_those_who_cannot_answer_everything_may_answer_less() -> None:
    partly = {f"{name}-logs" for name in trust.PARTLY}
    assert partly < {contender.name for contender in load()[1] if "logs" in contender.topics}
    assert {contender.name for contender in load()[1] if contender.floor and "logs" in contender.topics} < partly
    assert TOPICS["logs"].reference not in partly


def test_a_log_that_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    session = Session({}, folder=tmp_path)
    with pytest.raises(Failed, match="does not fit"):
        session.feeds.log(10**12)
    assert not list(tmp_path.rglob("access.log"))


def test_sizes_that_are_asked_for_are_those_of_every_topic() -> None:
    contenders = [one for one in load()[1] if "logs" in one.topics]
    asked = Session({}, sizes=(7, 8))
    assert {size for _, size in Rounds(asked, TOPICS["logs"], contenders).rows} == {7, 8}
    assert {size for _, size in Rounds(Session({}), TOPICS["logs"], contenders).rows} == {2_000}


def answer_of(script: str, topic: str, home: Path, source: str, **variables: str) -> dict[str, Any]:
    """What a contender says that runs in this environment."""
    program = Path(__file__).resolve().parents[1] / "contenders" / script
    given = {"BENCH_HOME": str(home), "BENCH_SOURCE": source, "PENSTOCK_HOME": str(home), **variables}
    done = subprocess.run(
        [sys.executable, str(program), topic, "1"], env={**os.environ, **given}, check=True, capture_output=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


READERS = {
    "re": "floor_logs.py",
    "polars": "polars_logs.py",
    "duckdb": "duckdb_logs.py",
    "penstock": "penstock_trust.py",
}


@pytest.mark.parametrize(("name", "script"), READERS.items(), ids=READERS)
def test_readers_of_logs_answer_what_there_is(name: str, script: str, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    pytest.importorskip("polars")
    wrong = [BAD[name] for name in ("cut", "binary", "no status")]  # what is planted in generated logs
    later = GOOD.replace(b"10:00", b"10:01").replace(b" 200 512 ", b" 304 - ")
    path = log_of(tmp_path, GOOD, later, *wrong, GOOD.replace(b"05/Jan", b"31/Feb"), GOOD, malformed=len(wrong) + 1)
    facts = log_judge.expect(path)
    answer_of(script, "logs", tmp_path, path, BENCH_WITH=name)
    found = log_judge.look(str(tmp_path / "answer.json"))
    assert found == {name: facts[name] for name in found}
    assert facts["requests"] == 3


CHECKERS = {"bare": "polars_checks.py", "penstock": "penstock_trust.py"}


@pytest.mark.parametrize(("name", "script"), CHECKERS.items(), ids=CHECKERS)
def test_validators_find_what_is_wrong(
    name: str, script: str, tmp_path: Path, orders: tuple[str, dict[str, int]]
) -> None:
    pytest.importorskip("polars")
    path, facts = orders
    broken = answer_of(script, "validator", tmp_path, path, BENCH_WITH=name, BENCH_STATISTICS="no")["broken"]
    assert broken == trust.expected_of(facts, broken)
