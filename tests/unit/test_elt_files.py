"""What a SQL file says of itself, and what is told of one that cannot be."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.stores.elt import BadModel, SqlFolder, sql_task
from penstock.stores.elt.failures import line_in_file
from penstock.stores.elt.models import Model
from penstock.stores.elt.templates import REQUIRED, Template
from penstock.stores.warehouse.names import Name


def model(folder: Path, text: str, **options: Any) -> Model:
    (folder / "m.sql").write_text(text, encoding="utf-8")
    found: Model = sql_task(folder / "m.sql", **options).model
    return found


def test_all_of_dbts_words(tmp_path: Path) -> None:
    text = """
    {{ config(materialized="incremental", unique_key=["a", "b"], schema="mart", alias="x", tags="daily",
              indexes=[{"columns": "a"}], on_schema_change="append_new_columns") }}
    {% set wanted = ["a", "b"] %}
    {% macro twice(column) %}{{ column }} * 2{% endmacro %}
    SELECT {% for each in wanted %}{{ each }}, {% endfor %}{{ twice("c") }} AS c, {{ this.schema }} AS s
    FROM {{ ref("orders") }} JOIN {{ source("raw_data", "lines") }} USING (a)
    {% if is_incremental() %}WHERE a > (SELECT max(a) FROM {{ this }}) AND {{ var("more", "TRUE") }}{% endif %}
    LIMIT {{ var("limit", 10) }};
    """
    found = model(tmp_path, text, inputs={"orders": "processed_data.orders"}, variables={"limit": 5})
    config = found.config
    assert (config.kind, config.keys, config.strategy) == ("incremental", ("a", "b"), "delete+insert")
    assert (config.table, config.tags, config.on_change) == (Name("mart", "x"), {"daily"}, "evolve")
    assert (found.refs, found.sources) == (("orders",), (Name("raw_data", "lines"),))
    words = found.query(incremental=True).sql.split()
    assert " ".join(words) == (
        'SELECT a, b, c * 2 AS c, mart AS s FROM "processed_data"."orders" JOIN "raw_data"."lines" USING (a) '
        'WHERE a > (SELECT max(a) FROM "mart"."x") AND TRUE LIMIT 5'
    )
    assert "WHERE" not in found.query().sql


def test_parameters_are_numbered_as_they_come(tmp_path: Path) -> None:
    text = 'SELECT {{ param("b") }}, {{ param("a", 7) }}, {{ param("b") }}'
    text += '{% if is_incremental() %}, {{ param("c", 1) }}{% endif %}'
    found = model(tmp_path, '{{ config(materialized="incremental") }}' + text)
    assert found.params == {"b": REQUIRED, "a": 7, "c": 1}
    assert found.query(params={"b": "x"}) == ("SELECT $1, $2, $1", ("x", 7))
    assert found.query(incremental=True, params={"b": 1, "c": 3}) == ("SELECT $1, $2, $1, $3", (1, 7, 3))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT {{ 1", "line 1: unexpected end"),
        ("SELECT 1\n{% if x %}", "line 2"),
        ("SELECT\n{{ dbt_utils.star() }}", "line 2: there is no dbt_utils here"),
        ("SELECT\n\n{{ none }}", "line 3: {{ ... }} gives None here"),
        ("SELECT {{ [1] }}", "gives a list here"),
        ("SELECT {{ ref }}", "gives a method here"),
        ('SELECT 1\nFROM {{ ref("a", "b") }}', "line 2: ref takes the name of one model"),
        ("SELECT '{{ param(\"a\") }}'", "stands in quotes"),
        ('{% if param("a") %}SELECT 1{% endif %}', "a parameter can only be put in as it is"),
        ('SELECT {{ param("a") | upper }}', "a parameter can only be put in as it is"),
        ("SELECT {{ param(x) }}", "the name of a parameter is a plain text"),
        ('SELECT {{ param("wait_for") }}', "a parameter cannot be called wait_for"),
        ('{{ config(materialized="view") }}SELECT {{ param("a") }}', "a view is asked later, when nobody gives a"),
        ('SELECT {{ var("x") }}', 'var("x") has no value'),
        ('SELECT {{ var("bad") }}', "a variable becomes part of the query"),
        ('{{ config(materialised="view") }}SELECT 1', "did you mean materialized?"),
        ('\n{{ config(materialized="cube") }}SELECT 1', "line 2: materialized is 'cube'"),
        ('{{ config(unique_key="a") }}SELECT 1', 'unique_key is for materialized="incremental"'),
        ('{{ config(materialized="incremental", incremental_strategy="merge") }}SELECT 1', "needs a unique_key"),
        (
            '{{ config(materialized="incremental", on_schema_change="sync_all_columns") }}SELECT 1',
            "on_schema_change is",
        ),
        ('{{ config(indexes=[{"columns": ["a"], "type": "hash"}]) }}SELECT 1', "an index of type 'hash' is not there"),
        ("{{ config(indexes=[{}]) }}SELECT 1", "an index has at least one column"),
        ("SELECT 1; SELECT 2", "it has 2 statements"),
        ("  \n", "is empty"),
        ('SELECT 1 FROM {{ ref("orders") }}', 'ref("orders") is not among the inputs'),
    ],
    ids=lambda value: None if "\n" in value else value[:30].encode("ascii", "replace").decode(),
)
def test_a_file_that_cannot_be(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadModel) as refused:
        model(tmp_path, text, variables={"bad": "1; DROP TABLE x"})
    assert told in refused.value.message
    assert "m.sql" in refused.value.message


def test_every_mistake_is_told(tmp_path: Path) -> None:
    text = '{{ nope }} {{ nor_this() }} {% if param("x") %}{% endif %}'
    with pytest.raises(BadModel, match="3 mistakes"):
        model(tmp_path, text)


def test_an_input_that_nothing_refers_to(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r'no ref\("orders"\)'):
        model(tmp_path, "SELECT 1", inputs={"orders": "a.b"})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"none\.sql cannot be read"):
        sql_task(tmp_path / "none.sql")


@given(st.text())
def test_a_variable_never_brings_in_more_than_a_word(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    template = Template("m.sql", 'SELECT {{ var("x") }} AS x')
    try:
        sql = template.render(Name("a", "b"), lambda name: Name("a", name), False, {"x": value}, {}).sql
    except BadModel:
        return
    assert sql == f"SELECT {value} AS x"
    assert not set(value) & set("'\"; ()\n\t\\$,")
    assert "--" not in value


@pytest.mark.parametrize(
    "text", ["{{ ''.__class__.__mro__ }}", "{{ this.__init__.__globals__ }}", "{{ ref.__self__ }}"]
)
def test_a_template_reaches_nothing_else(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadModel):
        model(tmp_path, f"SELECT {text}")


class TestFolder:
    def write(self, folder: Path, **files: str) -> SqlFolder:
        for name, text in files.items():
            (folder / f"{name}.sql").write_text(text, encoding="utf-8")
        return SqlFolder(folder)

    def test_every_mistake_in_every_file(self, tmp_path: Path) -> None:
        (tmp_path / "below").mkdir()
        (tmp_path / "below" / "a.sql").write_text("SELECT 1")
        (tmp_path / ".hidden.sql").write_text("nonsense {{")
        with pytest.raises(BadModel) as refused:
            self.write(
                tmp_path,
                a='SELECT * FROM {{ ref("bb") }}',
                b='SELECT * FROM {{ ref("c") }}',
                c='SELECT * FROM {{ ref("b") }}',
                d="SELECT {{ nope }}",
                e='{{ config(alias="f") }}SELECT 1',
                f="SELECT 1",
            )
        told = refused.value.message
        for part in (
            "two models of the name a",
            'ref("bb") is no model and no input (did you mean b?)',
            "in a ring: b -> c -> b",
            "d.sql, line 1: there is no nope here",
            "both make analytics.f",
        ):
            assert part in told

    def test_a_model_that_refers_to_itself(self, tmp_path: Path) -> None:
        with pytest.raises(BadModel, match="in a ring: a -> a"):
            self.write(tmp_path, a='SELECT * FROM {{ ref("a") }}')

    def test_refs_in_parts_that_are_left_out_count(self, tmp_path: Path) -> None:
        text = (
            'SELECT 1{% if is_incremental() %} FROM {{ ref("z") }}{% elif var("x", 0) %} FROM {{ ref("y") }}{% endif %}'
        )
        folder = self.write(tmp_path, a=text, y="SELECT 1", z="SELECT 1")
        assert set(folder.models["a"].refs) == {"y", "z"}
        assert list(folder.models) == ["y", "z", "a"]

    def test_refs_in_loops_count(self, tmp_path: Path) -> None:
        text = '{% for one in ["y", "z"] %}SELECT * FROM {{ ref(one) }}'
        text += "{% if not loop.last %} UNION {% endif %}{% endfor %}"
        folder = self.write(tmp_path, a=text, y="SELECT 1", z="SELECT 1")
        assert set(folder.models["a"].refs) == {"y", "z"}

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(BadModel, match="no SQL files"):
            SqlFolder(tmp_path)
        with pytest.raises(BadModel, match="no folder"):
            SqlFolder(tmp_path / "none")


def test_a_model_goes_to_another_process(tmp_path: Path) -> None:
    found = model(tmp_path, 'SELECT {{ param("a") }} FROM {{ ref("b") }}', inputs={"b": "c.d"})
    again = pickle.loads(pickle.dumps(found))
    assert again.params == {"a": REQUIRED}
    assert again.query(params={"a": 1}) == found.query(params={"a": 1})


def test_lines_of_the_file() -> None:
    source = "{# one #}\nSELECT a,\n  {{ b }},\n{% if x %}\n  c\n{% endif %}\nFROM t\n"
    source += "{% for i in y %}\n  -- {{ i }}\n{% endfor %}\nWHERE z"
    query = "SELECT a,\n  b,\n\nFROM t\n\n  -- 1\n\n  -- 2\n\nWHERE z"
    lines = {line: line_in_file(source, query, line) for line in (1, 2, 4, 10)}
    assert lines == {1: 2, 2: 3, 4: 7, 10: 11}
    assert line_in_file(source, query, 99) is None
    assert line_in_file(source, query, None) is None
