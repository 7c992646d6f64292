"""Pages that are made from the code: a tool writes its own, or says whether it is up to date."""

import sys
from pathlib import Path


def write_or_check(page: Path, content: str) -> None:
    """Write it; called with --check, exit with a message where it is not what it would be."""
    if sys.argv[1:] != ["--check"]:
        page.write_text(content)
    elif page.read_text() != content:
        sys.exit(f"{page} does not say what the code does: `make format` writes it anew")
