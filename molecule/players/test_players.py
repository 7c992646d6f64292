"""A clip with sound, in the players that people have: none of them finds anything to complain of."""

import itertools
from pathlib import Path

import pytest

from machines.players import complaints
from missed_moment import demo
from missed_moment.export.handover import FOLDER
from rig import FORMATS, order_of, restarted_film, writer_for


def test_nobody_complains(tmp_path: Path) -> None:
    """Not of its times, and of nothing else."""
    demo.by_itself(tmp_path)
    [clip] = (tmp_path / demo.STICK / FOLDER).glob("*.mp4")
    assert {player: said for player, said in complaints(clip) if said} == {}


@pytest.mark.parametrize("formats", FORMATS)
def test_nobody_complains_of_a_camera_that_was_started_again_with_another_format(formats: str, tmp_path: Path) -> None:
    catalogue, writer = writer_for(tmp_path)
    writer.write(order_of(list(itertools.chain(*restarted_film(formats)))), lambda _: None)
    moments = catalogue.moments()
    assert len(moments) == len(FORMATS[formats])
    found = {(moment.sequence, player): said for moment in moments for player, said in complaints(moment.clip) if said}
    assert found == {}
