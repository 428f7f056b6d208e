"""What mkdocs is told when it builds this site."""

from __future__ import annotations

from typing import Any

_NOT_MEASURED = """# Benchmarks

Nothing was measured in this checkout yet. `make bench` runs Penstock and its peers side by side, and writes this page.
"""


def on_files(files: Any, config: Any) -> Any:
    """Stand in for the page that the benchmarks write, where they have not run."""
    from mkdocs.structure.files import File

    if files.get_file_from_path("benchmarks.md") is None:
        files.append(File.generated(config, "benchmarks.md", content=_NOT_MEASURED))
    return files
