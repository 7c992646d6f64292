"""A clip with sound, in the players that people have: none of them finds anything to complain of."""

from pathlib import Path

from machines.players import complaints
from missed_moment import demo
from missed_moment.export.handover import FOLDER


def test_nobody_complains(tmp_path: Path) -> None:
    """Not of its times, and of nothing else."""
    demo.by_itself(tmp_path)
    [clip] = (tmp_path / demo.STICK / FOLDER).glob("*.mp4")
    assert {player: said for player, said in complaints(clip) if said} == {}
