"""Templates: what they make, what they may not, and that none takes long."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.control.webhooks.plain import MOST_STEPS
from penstock.control.webhooks.requests import Refused, Rendered
from penstock.control.webhooks.templates import Dynamic, Static, template_of

BODY = {"name": 'a "quoted"\nname', "n": 3, "rows": [{"id": 1, "ok": True}, {"id": 2, "ok": False}], "none": None}
FACTS: dict[str, Any] = {
    "method": "POST", "path": "/hooks/shop", "headers": {"x-event": "push"}, "query": {"page": "7"}, "body": BODY,
    "kind": "json", "cloudevent": None, "hook": "shop", "delivery": "d1",
}  # fmt: skip


def payload(expression: str, **facts: Any) -> Any:
    """What an expression puts into JSON."""
    made = Dynamic(f'{{"event": "a.b", "payload": {{"v": {expression}}}}}')
    assert made.mistakes == []
    return made.render({**FACTS, **facts}).payload["v"]


def refusal(text: str, **facts: Any) -> str:
    made = Dynamic(text)
    with pytest.raises(Refused) as found:
        made.render({**FACTS, **facts})
    assert found.value.failed
    return found.value.message


def test_an_event() -> None:
    text = """
    {
      "event": "git.{{ headers["x-event"] }}",
      "resource": "{{ body.name }}",
      {# what is known #}
      "payload": {"ids": [{% for row in body.rows %}{{ row.id }}{{ "," if not loop.last }}{% endfor %}],
                  "page": {{ query.page|int + 1 }}, "whole": {{ body }}}
    }"""
    text = text.replace('{{ "," if not loop.last }}', "{% if not loop.last %},{% endif %}")
    made = Dynamic(text)
    assert made.mistakes == []
    assert made.render(FACTS) == Rendered("git.push", BODY["name"], {"ids": [1, 2], "page": 8, "whole": BODY})


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('"{{ body.name }}"', BODY["name"]),
        ("{{ body.name|tojson }}", BODY["name"]),
        ("{{ body.rows|map('id')|join('-')|tojson }}", "1-2"),
        ("{{ body.rows|selectattr('ok')|map('id')|list }}", [1]),
        ("{{ body.rows|selectattr('id', 2)|first }}", BODY["rows"][1]),
        ("{{ body.none }}", None),
        ("{{ body.nothing|default(5) }}", 5),
        ("{{ body.n > 2 and 'name' in body and body.nothing is not defined }}", True),
        ("{{ [body.n * 2, body.n ** 2, body.n // 2, -body.n, body.n % 2, 7 / 2] }}", [6, 9, 1, -3, 1, 3.5]),
        ("{{ {'a': body.n, 'b': (1, 2)} }}", {"a": 3, "b": [1, 2]}),
        ('"{{ body.n ~ "-" ~ body.name[:3]|upper }}"', '3-A "'),
        ('"{{ body.name.split(" ")[0] }}{{ body.get("zzz") }}"', "anull"),
        ("{{ body.rows|length + body.name|length }}", 2 + len(str(BODY["name"]))),
        ("{{ '[1, {\"a\": 2}]'|fromjson }}", [1, {"a": 2}]),
        ("[{% for k, v in body.items() %}{% if loop.first %}{{ loop.length }}{% endif %}{% endfor %}]", [4]),
        ("{% set x = body.n + 1 %}{{ x if x is number else 0 }}", 4),
        ("{{ range(3) }}", [0, 1, 2]),
        ('"{{ "é\\n"|replace("é", "ü")|trim }}"', "ü"),
        ("{{ [3, 1, 1]|unique|sort|reverse }}", [3, 1]),
    ],
    ids=range(19),
)
def test_expressions(expression: str, value: Any) -> None:
    assert payload(expression) == value


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_no_text_gets_out_of_its_quotes(text: str) -> None:
    assert payload('"{{ body }}"', body=text) == text
    assert payload('"<{{ body ~ "" }}>"', body=text) == f"<{text}>"
    assert payload("{{ body|tojson }}", body=text) == text


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ ()|attr('__class__')|attr('__base__') }}",
    "{{ body['__class__'] }}",
    "{{ [].__class__.__base__.__subclasses__() }}",
    "{{ {}.__init__.__globals__ }}",
    "{{ self.__init__.__globals__.__builtins__ }}",
    "{{ self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ url_for.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ config.items() }}",
    "{{ request.application.__globals__ }}",
    "{{ request['application']['\\x5f\\x5fglobals\\x5f\\x5f'] }}",
    "{{ body|map(attribute='__class__')|list }}",
    "{{ ['a']|map('__class__')|list }}",
    "{{ [body]|map('name.__class__')|list }}",
    "{{ ['a']|map('upper.__self__')|list }}",
    "{{ body.rows|selectattr('__class__') }}",
    "{{ '{0.__class__}'.format(body) }}",
    "{{ '{0.__class__}'.format_map(body) }}",
    "{{ '%s' % body }}",
    "{{ body.get.__self__ }}",
    "{{ body.get.__func__.__globals__ }}",
    "{{ range.__call__ }}",
    "{{ range.call.__globals__ }}",
    "{{ loop.__class__ }}",
    "{% for x in [1] %}{{ loop._iterator }}{% endfor %}",
    "{% for x in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop.changed.__globals__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop(x) }}{% endfor %}",
    "{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import system %}",
    "{% extends 'x' %}",
    "{% block x %}{% endblock %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% call body.get() %}{% endcall %}",
    "{% filter upper %}{% endfilter %}",
    "{% set ns = namespace(a=1) %}",
    "{% set x %}a{% endset %}",
    "{% with a = 1 %}{{ a }}{% endwith %}",
    "{% autoescape true %}{% endautoescape %}",
    "{% do body.clear() %}",
    "{{ body.update({}) }}",
    "{{ body.pop('name') }}",
    "{{ body.setdefault('x', 1) }}",
    "{{ body.rows.append(1) }}",
    "{{ body.get(*[1]) }}",
    "{{ body.get(**{}) }}",
    "{{ caller() }}",
    "{{ varargs }}",
    "{{ context }}",
    "{{ environment }}",
    "{{ _context }}",
    "{{ 'x'|_each }}",
    "{{ 'x'|_measured }}",
    "{{ 'x'|pprint }}",
    "{{ 'x'|format(1) }}",
    "{{ 'x'|center(1000000000) }}",
    "{{ 'x'|xmlattr }}",
    "{{ 'x'|random }}",
    "{{ 'x' is filter }}",
    "{{ body is callable }}",
    "{{ body is sameas body }}",
    "{{ body.get }}",
    "{{ [body.get] }}",
    "{{ {'a': range} }}",
]


@pytest.mark.parametrize("text", ESCAPES, ids=range(len(ESCAPES)))
def test_nothing_leads_out(text: str) -> None:
    told = refusal(f'{{"event": "a.b", "payload": {{"v": "x{text}"}}}}')
    assert "template" in told
    for leak in ("<class", "<built-in", "<function", "uid=", "root:"):
        assert leak not in told


BOMBS = [
    "{{ 'a' * 1000000000 }}",
    "{{ [0] * 1000000000 }}",
    "{{ 9 ** 9 ** 9 ** 9 }}",
    "{{ 2 ** 64 ** 64 }}",
    "{{ range(1000000000) }}",
    "{{ range(0, 10 ** 60) }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{% for a in range(9000) %}" + "x" * 1000 + "{% endfor %}",
    "{% set x = 'aaaa' %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}",
    "{% set x = 'aaaa' %}" + "{% set x = x + x %}" * 60 + "{{ x }}",
    "{% set x = [1] %}" + "{% set x = [x, x] %}" * 60 + "{{ x }}",
    "{% set x = [1] %}" + "{% set x = x + x %}" * 60 + "{{ x|length }}",
    "{% set x = {'a': 1} %}" + "{% set x = {'a': x, 'b': x} %}" * 60 + "{{ x == x }}",
    "{% set x = 'aaaa' %}" + "{% set x = x|replace('a', 'aaaa') %}" * 60 + "{{ x }}",
    "{% set x = 'a'|tojson %}" + "{% set x = x|tojson|tojson %}" * 60 + "{{ x }}",
    "{% set x = range(9999)|join('aaaaaaaa') %}" + "{% set x = [x, x, x]|join(x) %}" * 60 + "{{ x }}",
    "{% set x = 7 ** 60 %}" + "{% set x = x * x %}" * 60 + "{{ x }}",
    "{{ 'a'.join(['b']) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ 'a'.expandtabs(1000000000) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 1.5|round(1000000000) + 'x' }}",
    "{{ ('9' * 5)|int }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ " + "-" * 3000 + "1 }}",
    "{{ " + "1 + " * 12000 + "'x' }}",
    "{% if 1 %}" * 200 + "{% endif %}" * 200 + "x",
]


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_no_template_becomes_large_or_lasts(text: str) -> None:
    assert refusal(f'{{"event": "a.b", "payload": {{"v": "{text}"}}}}' if "'" not in text else text)


def test_the_steps_of_a_template_that_is_fine_are_far_from_the_limit() -> None:
    rows = [{"id": n} for n in range(MOST_STEPS // 4)]
    loop = "[{% for row in body %}{{ row.id }}{% if not loop.last %},{% endif %}{% endfor %}]"
    assert payload(loop, body=rows[:1000]) == list(range(1000))
    assert len(payload("{{ body|map('id') }}", body=rows * 4)) == MOST_STEPS


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"event": "a",\n "resource": "{{ bdoy.x }}"}', "line 2: there is no 'bdoy'"),
        ('{"event": "a",\n\n "resource": "{{ body.x|shout }}"}', "line 3: there is no filter 'shout'"),
        ('{"event": "a"\n{% if %}', "line 2"),
        ('{"event": "a",\n "resource": "{{ body.nope }}"}', "(line 2): 'dict object' has no attribute 'nope'"),
        ('{"event": "a",\n "resource": {{ body.name }}}', "(line 2, column 14)"),
        ('{"event": "a",\n "resource": {{ body.name }}}', "A text is put between quotes"),
        ('{"event": "a", "event": "b"}', "'event' twice"),
        ("[]", "a list"),
        ("", "no JSON"),
        ('{"event": ""}', "The name of the event"),
        ('{"event": "RunFailed"}', "Penstock's own"),
        ('{"event": 5}', "makes no event"),
        ('{"event": "a", "resource": {}}', "an object of the resource"),
        ('{"event": "a", "payload": []}', "a list of the payload"),
        ('{"event": "a", "more": 1}', "'more'"),
        ("x" * 70_000, "65,536"),
    ],
    ids=range(16),
)
def test_mistakes_are_told_with_their_line(text: str, told: str) -> None:
    assert told in refusal(text)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="{}%# \"'|.()[]_abody=+-*~:,\n1", max_size=60))
def test_whatever_a_template_is_it_is_rendered_or_refused(text: str) -> None:
    found: Rendered | None = None
    with suppress(Refused):
        found = Dynamic(text).render(FACTS)
    assert found is None or found.event


def test_static_templates() -> None:
    mapping = {
        "event": "git.{headers.x-event}",
        "resource": "{body.rows.0.id}",
        "payload": {"rows": "{body.rows}", "who": "by {body.name}", "fixed": [1, "{{}}"]},
    }
    made = template_of(None, mapping)
    assert made.mistakes == []
    told = {"rows": BODY["rows"], "who": f"by {BODY['name']}", "fixed": [1, "{}"]}
    assert made.render(FACTS) == Rendered("git.push", "1", told)
    assert template_of(None, None).render(FACTS) == Rendered("webhook.shop", "shop", {"body": BODY})
    with pytest.raises(Refused, match=r"no fact 'body\.zzz'"):
        Static({"event": "{body.zzz}"}).render(FACTS)
    wrong = Static({"resource": "{os.environ}", "more": 1, "payload": "{"})
    assert len(wrong.mistakes) == 4
    assert "there is no {os.environ}" in json.dumps(wrong.mistakes)
