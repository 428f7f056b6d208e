"""What a run is found by: words, tags, parameters, its partition, the end of its id, and the results it refers to.

Each is a text in the table `terms`, which is in order for each text. Those of a subflow run begin with `>`, so that a
listing of runs that nobody called from a flow does not meet them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

LAST = "\U0010ffff"
"""Sorts behind every text that goes on."""
TAIL = 12
"""So many characters at the end of an id are looked up; a UUID's last group."""
REFS = ("r:", "r;")
"""Between these is what runs are found by that refer to files of the result store."""
_WORD = re.compile(r"[^\W_]+")
_MOST = 100
_LONGEST = 100
_json = msgspec.json.Encoder().encode


def words_of(text: str) -> list[str]:
    """The words a text can be found by: letters and digits, without regard to case."""
    if text.isascii():
        text = text.lower()
    else:
        import unicodedata

        text = unicodedata.normalize("NFKC", text).casefold()
    return [word[:_LONGEST] for word in _WORD.findall(text)]


def word_term(word: str) -> str:
    """What a run with this word is found by; it begins with what a run with a longer word is found by."""
    return f"w:{word}"


def tag_term(tag: str) -> str:
    """What a run with this tag is found by."""
    return _short(f"t:{tag}")


def parameter_term(name: str, value: Any) -> str:
    """What a run with this parameter is found by: text as it is, anything else as JSON."""
    text = value if isinstance(value, str) else _json(value).decode()
    return _short(f"p:{name}={text}")


def partition_term(partition: str) -> str:
    """What a run for this partition is found by."""
    return _short(f"d:{partition}")


def tail_term(end: str) -> str:
    """What a run whose id ends so is found by; it begins with what a shorter end is found by."""
    return f"i:{end[::-1][:TAIL]}"


def ref_term(ref: str) -> str:
    """What a run that refers to this file of the result store is found by."""
    return f"r:{ref}"


def below(term: str) -> str:
    """The same for a subflow run. Ends of ids and references are the same for all runs."""
    return f">{term}"


def terms_of_run(
    run_id: str,
    texts: Iterable[str | None],
    tags: Sequence[str],
    parameters: Mapping[str, Any],
    partition: str | None,
    *,
    child: bool,
) -> list[str]:
    """What a new run is found by.

    Args:
        run_id: its id.
        texts: its name, its flow's and its deployment's.
        tags: its tags.
        parameters: its parameters, as they are shown.
        partition: its partition.
        child: it is the run of a subflow.
    """
    terms = [word_term(word) for text in texts if text for word in words_of(text)[:_MOST]]
    terms += [tag_term(tag) for tag in tags[:_MOST]]
    terms += [parameter_term(*item) for item in list(parameters.items())[:_MOST]]
    if partition is not None:
        terms.append(partition_term(partition))
    if child:
        terms = [below(term) for term in terms]
    return [*dict.fromkeys(terms), tail_term(run_id)]


def terms_of_message(message: str) -> list[str]:
    """What a run that ended with this message is found by; the end of a subflow run does not say that it is one."""
    return [*dict.fromkeys(word_term(word) for word in words_of(message)[:_MOST])]


def _short(term: str) -> str:
    if len(term) <= _LONGEST:
        return term
    digest = hashlib.blake2b(term.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
    return f"{term[: _LONGEST - 20]}...{digest}"
