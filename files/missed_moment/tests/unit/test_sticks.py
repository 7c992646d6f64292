"""What the LED has to say where there are several sticks, and exporters that die."""

import pytest

from missed_moment.panel.language import Stick
from missed_moment.services.sticks import BELIEVED_NS, DONE_SHOWN_NS, Sticks


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        ([], Stick.NONE),
        ([Stick.COPYING], Stick.COPYING),
        ([Stick.DONE], Stick.DONE),
        ([Stick.DONE, Stick.COPYING], Stick.COPYING),
        ([Stick.COPYING, Stick.DONE], Stick.COPYING),
        ([Stick.FAILED, Stick.DONE], Stick.FAILED),
        ([Stick.FAILED, Stick.COPYING], Stick.COPYING),
    ],
)
def test_nobody_is_told_to_pull_while_anything_is_copied_or_wrong(states: list[Stick], shown: Stick) -> None:
    sticks = Sticks()
    for number, state in enumerate(states):
        sticks.tell(f"1-{number}", state, "bad" if state is Stick.FAILED else "", 0)
    assert sticks.state is shown


def test_a_stick_that_was_pulled_is_forgotten_with_its_trouble() -> None:
    sticks = Sticks()
    sticks.tell("1-1", Stick.FAILED, "no file system", 0)
    assert sticks.trouble == "no file system"
    sticks.tell("1-1", Stick.NONE, "", 1)
    assert (sticks.state, sticks.trouble) == (Stick.NONE, "")


@pytest.mark.parametrize("port", ["1-1", "1-2"])
def test_trouble_with_a_stick_that_is_out_stands_until_the_next_is_in(port: str) -> None:
    sticks = Sticks()
    sticks.tell("1-1", Stick.COPYING, "", 0)
    sticks.tell("1-1", Stick.NONE, "pulled", 1)
    sticks.tick(10 * BELIEVED_NS)
    assert (sticks.state, sticks.trouble) == (Stick.NONE, "pulled")
    sticks.tell(port, Stick.COPYING, "", 11 * BELIEVED_NS)
    assert (sticks.state, sticks.trouble) == (Stick.COPYING, "")


def test_trouble_with_two_is_told_of_both() -> None:
    sticks = Sticks()
    sticks.tell("1-1", Stick.FAILED, "full", 0)
    sticks.tell("1-2", Stick.FAILED, "read-only", 0)
    assert sticks.trouble == "full; read-only"


def test_an_exporter_that_repeats_itself_is_believed_and_is_no_news() -> None:
    sticks = Sticks()
    assert sticks.tell("1-1", Stick.DONE, "", 0)
    assert not sticks.tell("1-1", Stick.DONE, "", BELIEVED_NS - 1)
    sticks.tick(2 * BELIEVED_NS - 2)
    assert sticks.state is Stick.DONE
    assert sticks.tell("1-1", Stick.NONE, "", 2 * BELIEVED_NS)
    assert not sticks.tell("1-1", Stick.NONE, "", 2 * BELIEVED_NS)


def test_an_exporter_that_was_killed_is_not_believed_for_long() -> None:
    sticks = Sticks()
    sticks.tell("1-1", Stick.COPYING, "", 0)
    sticks.tick(BELIEVED_NS)
    assert sticks.state is Stick.NONE


def test_the_stick_that_is_least_far_counts() -> None:
    sticks = Sticks()
    assert sticks.copied == 0
    sticks.tell("1-1", Stick.COPYING, "", 0, copied=0.9)
    assert not sticks.tell("1-1", Stick.COPYING, "", 0, copied=0.95)
    sticks.tell("1-2", Stick.COPYING, "", 0, copied=0.2)
    sticks.tell("1-3", Stick.DONE, "", 0)
    assert sticks.copied == 0.2


def test_what_an_old_exporter_tells_last_is_not_heard_over_a_new_one() -> None:
    """A quick replug into the same port: the exporter of before is still ending."""
    sticks = Sticks()
    sticks.tell("1-1", Stick.COPYING, "", 0, began_ns=5)
    sticks.tell("1-1", Stick.COPYING, "", 1, began_ns=9)
    assert not sticks.tell("1-1", Stick.NONE, "pulled", 2, began_ns=5)
    assert (sticks.state, sticks.trouble) == (Stick.COPYING, "")
    assert sticks.tell("1-1", Stick.DONE, "", 3, began_ns=9)
    assert sticks.tell("1-1", Stick.NONE, "", 4, began_ns=9)
    assert not sticks.tell("1-1", Stick.FAILED, "late", 5, began_ns=5)
    assert sticks.trouble == ""


def test_a_stick_that_stays_in_is_shown_as_done_for_a_minute_only() -> None:
    """Then the LED shows again whether the camera films, and what is wrong."""
    sticks = Sticks()
    for now_ns in range(0, DONE_SHOWN_NS, BELIEVED_NS // 2):
        sticks.tell("1-1", Stick.DONE, "", now_ns)
        assert sticks.state is Stick.DONE
    sticks.tell("1-1", Stick.DONE, "", DONE_SHOWN_NS - 1)
    assert sticks.state is Stick.DONE
    sticks.tick(DONE_SHOWN_NS)
    assert sticks.state is Stick.NONE
    sticks.tell("1-1", Stick.DONE, "", DONE_SHOWN_NS + 1)
    assert sticks.state is Stick.NONE
    sticks.tell("1-2", Stick.DONE, "", DONE_SHOWN_NS + 2)
    assert sticks.state is Stick.DONE, "the second one was not shown yet"


def test_trouble_is_shown_for_as_long_as_the_stick_is_in() -> None:
    sticks = Sticks()
    for now_ns in range(0, 2 * DONE_SHOWN_NS, BELIEVED_NS // 2):
        sticks.tell("1-1", Stick.FAILED, "full", now_ns)
        assert sticks.state is Stick.FAILED
