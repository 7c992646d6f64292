"""How images of cards are made: root file systems, the playbook in them, partitions around them.

The tests make their machines with it too.
"""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PROJECT = REPOSITORY / "files" / "missed_moment"
"""The Python project."""
PI_GEN_COPY = "MISSED_MOMENT_PI_GEN"
"""Names a copy of pi-gen's repository in the environment. PI_GEN itself means something else to pi-gen."""
