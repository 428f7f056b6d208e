"""Rules as they are written, and all that can be wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.quality import KINDS, BadRules, DataValidator, Rule

WRITTEN = [
    {"rule": "not_null", "columns": ["id", "email"]},
    {"rule": "between", "column": "amount", "min": 0, "max": 10_000, "mostly": 0.99, "where": "status = 'paid'"},
    {"rule": "matches", "column": "email", "pattern": "^[^@]+@[^@]+$", "severity": "warning", "name": "a mail address"},
]
YAML = """
name: orders
keys: [id]
rules:
  - {rule: not_null, columns: [id, email]}
  - rule: between
    column: amount
    min: 0
    max: 10000
    mostly: 0.99
    where: status = 'paid'
  - {rule: matches, column: email, pattern: "^[^@]+@[^@]+$", severity: warning, name: a mail address}
"""
TOML = """
name = "orders"
keys = ["id"]

[[rules]]
rule = "not_null"
columns = ["id", "email"]

[[rules]]
rule = "between"
column = "amount"
min = 0
max = 10000
mostly = 0.99
where = "status = 'paid'"

[[rules]]
rule = "matches"
column = "email"
pattern = '^[^@]+@[^@]+$'
severity = "warning"
name = "a mail address"
"""
JSON = json.dumps({"name": "orders", "keys": "id", "rules": WRITTEN})


@pytest.mark.parametrize("form", ["yaml", "toml", "json"])
@pytest.mark.parametrize("as_file", [True, False], ids=["file", "text"])
def test_one_set_of_rules_in_three_formats(form: str, as_file: bool, tmp_path: Path) -> None:
    text = {"yaml": YAML, "toml": TOML, "json": JSON}[form]
    path = tmp_path / f"rules.{form}"
    path.write_text(text)
    made = DataValidator(path if as_file else text)
    assert made.validation_rules == DataValidator(WRITTEN).validation_rules
    assert (made.configuration.name, made.configuration.keys) == ("orders", ("id",))
    assert [rule.columns for rule in made.validation_rules] == [("id",), ("email",), ("amount",), ("email",)]


def test_a_rule_can_be_given_as_one_and_written_back() -> None:
    rules = DataValidator(WRITTEN).validation_rules
    assert DataValidator(rules).validation_rules == rules
    assert DataValidator([rule.as_config() for rule in rules]).validation_rules == rules
    assert DataValidator(Rule("not_null", ("id",))).validation_rules == (Rule("not_null", ("id",)),)
    assert rules[2].title == "between(amount, min=0, max=10000) for 99 % where status = 'paid'"
    assert rules[3].title == "a mail address"


def test_every_mistake_is_told_with_its_place() -> None:
    config = {
        "nam": "orders",
        "samples": -1,
        "rules": [
            {"rule": "betwen", "column": "a"},
            {"rule": "between", "column": "a"},
            {"rule": "between", "column": "a", "min": 3, "max": 2},
            {"rule": "between", "column": "a", "min": 1, "maximum": 2},
            {"rule": "not_null"},
            {"rule": "not_null", "column": "a", "columns": ["b"]},
            {"rule": "not_null", "column": "a", "mostly": 1.5, "severity": "bad", "where": ""},
            {"rule": "row_count", "min": 1, "mostly": 0.5},
            {"rule": "column_exists", "column": "a", "where": "b = 1"},
            {"rule": "in_set", "column": "a", "values": "abc"},
            {"rule": "equal", "columns": ["a"]},
            {"rule": "type", "column": "a", "types": "int"},
            "not_null(a)",
            {"column": "a"},
            {"rule": "quantiles", "column": "a", "quantiles": [0.5], "ranges": []},
        ],
    }
    with pytest.raises(BadRules) as raised:
        DataValidator(config)
    told = dict(raised.value.mistakes)
    assert [place for place, _ in raised.value.mistakes] == [
        "nam", "rules[0].rule", "rules[1]", "rules[2]", "rules[3].maximum", "rules[4]", "rules[5]", "rules[6].severity",
        "rules[6].mostly", "rules[6].where", "rules[7].mostly", "rules[8].where", "rules[9].values",
        "rules[10].columns", "rules[11]", "rules[12]", "rules[13].rule", "rules[14]", "samples",
    ]  # fmt: skip
    assert told["nam"].endswith("did you mean name?")
    assert told["rules[0].rule"].endswith("did you mean between?")
    assert told["rules[3].maximum"].endswith("did you mean max?")
    assert told["rules[2]"] == "min is greater than max"
    assert str(raised.value).startswith("19 mistakes in the rules:\n  nam: unknown")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"rule": "matches", "column": "a", "pattern": "("}, "no regular expression that runs in linear time"),
        ({"rule": "matches", "column": "a", "pattern": r"(a)\1"}, "no regular expression that runs in linear time"),
        ({"rule": "matches", "column": "a", "pattern": "(?=a)b"}, "no regular expression that runs in linear time"),
        ({"rule": "matches", "column": "a", "pattern": "((a{500}){500}){500}"}, "no regular expression"),
        ({"rule": "matches", "column": "a", "pattern": "a" * 10_001}, "at most 10,000 characters"),
        ({"rule": "expression", "sql": "a >"}, "is no SQL condition"),
        ({"rule": "not_null", "column": "a", "where": "SELECT * FROM b"}, "is no SQL condition"),
        ({"rule": "expression", "sql": "a > 1" + " OR a = 1" * 300}, "at most 2,000 characters"),
        ({"rule": "not_null", "column": "a", "where": "a" + "+1" * 1000}, "at most 2,000 characters"),
        ({"rule": "expression", "sql": "(" * 900 + "a > 1" + ")" * 900}, "is no SQL condition"),
        ({"rule": "between", "column": "a", "min": float("nan")}, "is not a number"),
        ({"rule": "between", "column": "a", "min": 1, "max": "x"}, "not of one type"),
        ({"rule": "date_format", "column": "a", "format": "%Q"}, "is no format of dates"),
        ({"rule": "fresh", "column": "a", "max_age": "soon"}, "a length of time"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["rule"],
)
def test_what_no_data_could_follow_is_refused_at_once(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(BadRules, match=r"rules\[0\]") as raised:
        DataValidator([rule])
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.yaml", b"a: &a [x, x]\nb: &b [*a, *a]\nrules: [*b, *b]", "aliases (*name) are not followed"),
        ("b.yaml", b"rules: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("c.yaml", b"rules: " + b"[" * 5000, "nested too deeply"),
        ("d.json", b"[" * 200_000, "nested too deeply"),
        ("e.yaml", b"rules:\n  - {rule: not_null, column: a, column: b}", "column is there twice"),
        ("f.json", b'{"rules": [], "rules": []}', "rules is there twice"),
        ("g.toml", b"rules = [", "rules"),
        ("h.json", b'{"rules": [', "line 1 column"),
        ("i.yaml", b"\xff\xfe\x00", "no UTF-8 text: byte 0 is 0xff"),
        ("j.yaml", b"#" * (5 * 1024 * 1024), "larger than 4 MB"),
        ("k.txt", b"rules: []", "no file of rules"),
        ("l.yaml", b"", "neither a list of rules nor a mapping"),
        ("m.yaml", b"rules: 3", "a list of rules is expected here"),
        ("n.yaml", b"rules: {a: *b}", "aliases"),
        ("o.yaml", b"? {a: b}\n: c\n", "unhashable key"),
    ],
    ids=lambda value: value if isinstance(value, str) and value[1:2] == "." else "",
)
def test_hostile_files_are_told_in_a_line_or_two(name: str, data: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadRules) as raised:
        DataValidator(tmp_path / name)
    assert told in str(raised.value)
    assert len(str(raised.value)) < 2000


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadRules, match="No such file"):
        DataValidator(tmp_path / "rules.yaml")


def test_the_page_lists_every_kind_of_rule() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "quality.md").read_text()
    for kind in KINDS.values():
        column = ["`column`"] if kind.columns == (1, 1) else ["`columns`"] if kind.columns[1] else []
        takes = [f"`{each.name}`" if each.required else f"[`{each.name}`]" for each in kind.arguments]
        assert f"| `{kind.name}` | {kind.about} | {', '.join([*column, *takes])} |" in page
