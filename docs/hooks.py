"""What mkdocs is told when it builds this site; and the tables that are made from other files.

python docs/hooks.py          writes the tables of from-prefect.md anew from tests/prefect/features.toml
python docs/hooks.py --check  only tells whether they are up to date
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGE = DOCS / "from-prefect.md"
FEATURES = DOCS.parent / "tests" / "prefect" / "features.toml"
_HEADS = {"same": "note", "differs": "how it differs", "not yet": "instead"}
_NOT_MEASURED = """# Benchmarks

Nothing was measured in this checkout yet. `make bench` runs Penstock and its peers side by side, and writes this page.
"""


def on_files(files: Any, config: Any) -> Any:
    """Stand in for the page that the benchmarks write, where they have not run."""
    from mkdocs.structure.files import File

    if files.get_file_from_path("benchmarks.md") is None:
        files.append(File.generated(config, "benchmarks.md", content=_NOT_MEASURED))
    return files


def table(rows: list[dict[str, Any]], status: str) -> str:
    """The features of one status as a Markdown table."""
    lines = [f"| feature | in Prefect | {_HEADS[status]} |", "|---|---|---|"]
    for row in rows:
        if row["status"] == status:
            cells = (row["feature"], _code(row["prefect"]), row["note"])
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _code(names: str) -> str:
    """Names of code in code type; plain words as they are."""
    return ", ".join(_one(part.strip()) for part in re.split(r", (?![^(]*\))", names))


def _one(words: str) -> str:
    if words == "generators":
        return words
    if " " not in words or words.startswith(("async ", "await ")):
        return f"`{words}`"
    first, rest = words.split(" ", 1)
    return f"`{first}` {rest}" if re.search(r"[@._(]", first) else words


def with_tables(page: str, features: str) -> str:
    """The page with its tables made anew. Each stands between two comments that name its status."""
    rows = tomllib.loads(features)["feature"]
    for status in _HEADS:
        begin, end = f"<!-- table: {status} -->", f"<!-- end: {status} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"{PAGE.name} has no place for the table {status!r}")
        page = f"{before}{begin}\n\n{table(rows, status)}\n\n{end}{after}"
    return page


def main() -> None:
    """Write the page, or check it."""
    page = PAGE.read_text(encoding="utf-8")
    made = with_tables(page, FEATURES.read_text(encoding="utf-8"))
    if "--check" in sys.argv[1:]:
        if made != page:
            raise SystemExit("docs/from-prefect.md is not up to date: run python docs/hooks.py")
        return
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
