"""How images of cards are made: root file systems, the playbook in them, partitions around them.

The tests make their machines with it too.
"""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PROJECT = REPOSITORY / "files" / "missed_moment"
"""The Python project."""
