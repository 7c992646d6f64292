"""What a finger means, through contacts that bounce."""

from hypothesis import given
from hypothesis import strategies as st

from missed_moment.panel.touch import HOLD_NS, Hold, Press, Release, Touch, TouchGrammar

MS = 1_000_000
LOCKOUT = 50


def play(edges: list[tuple[int, bool]], until_ms: int) -> list[Touch]:
    """Feed edges (time in ms, pressed), calling `tick` exactly when the grammar asks for it."""
    grammar = TouchGrammar(LOCKOUT)
    touches: list[Touch] = []
    level = False
    for at_ms, pressed in [*edges, (until_ms, None)]:
        while (due := grammar.deadline_ns()) is not None and due <= at_ms * MS:
            touches += grammar.tick(due, level)
        if pressed is not None:
            level = pressed
            touches += grammar.edge(at_ms * MS, pressed)
    return touches


def tap(at_ms: int) -> list[Touch]:
    """What it is to press at that time, and to let go before that is a hold."""
    return [Press(at_ms * MS), Release(at_ms * MS)]


def test_the_first_edge_is_the_press() -> None:
    assert play([(100, True)], 101) == [Press(100 * MS)]


def test_bounce_after_the_first_edge_is_locked_out() -> None:
    bounce = [(100 + step, step % 2 == 0) for step in range(21)]
    assert play([*bounce, (300, False)], 1000) == tap(100)


def test_bounce_at_letting_go_is_no_second_press() -> None:
    bounce = [(300 + step, step % 2 == 1) for step in range(21)]
    assert play([(100, True), *bounce], 1000) == tap(100)


def test_a_tap_shorter_than_the_lockout_is_a_press() -> None:
    assert play([(100, True), (101, False), (400, True), (401, False)], 1000) == [*tap(100), *tap(400)]


def test_ten_presses_in_a_second_are_ten() -> None:
    edges = [(at + offset, offset == 0) for at in range(0, 1000, 100) for offset in (0, 30)]
    assert play(edges, 2000) == [touch for at in range(0, 1000, 100) for touch in tap(at)]


def test_a_release_counts_once_the_lockout_has_passed() -> None:
    grammar = TouchGrammar(LOCKOUT)
    grammar.edge(100 * MS, True)
    grammar.edge(300 * MS, False)
    assert grammar.tick((300 + LOCKOUT) * MS - 1, False) == []
    assert grammar.tick((300 + LOCKOUT) * MS, False) == [Release(100 * MS)]


def test_holding_is_a_press_and_then_a_hold_once() -> None:
    assert play([(100, True)], 60_000) == [Press(100 * MS), Hold(100 * MS)]


def test_a_hold_survives_contacts_that_flicker() -> None:
    flicker = [(1000, False), (1010, True), (2000, False), (2005, True)]
    assert play([(100, True), *flicker], 5000) == [Press(100 * MS), Hold(100 * MS)]


def test_letting_go_in_time_is_no_hold() -> None:
    assert play([(100, True), (3050, False)], 9000) == tap(100)


def test_a_release_that_comes_late_is_no_hold() -> None:
    grammar = TouchGrammar(LOCKOUT)
    assert grammar.edge(100_000 * MS, True) == [Press(100_000 * MS)]
    assert grammar.edge(103_500 * MS, False) == []
    assert grammar.tick(104_000 * MS, False) == [Release(100_000 * MS)]
    assert grammar.edge(105_000 * MS, True) == [Press(105_000 * MS)]


def test_a_lost_release_is_no_hold_and_the_next_press_counts() -> None:
    grammar = TouchGrammar(LOCKOUT)
    assert grammar.edge(100 * MS, True) == [Press(100 * MS)]
    due = grammar.deadline_ns()
    assert due is not None
    assert grammar.tick(due, False) == []
    assert grammar.tick(due + LOCKOUT * MS, False) == [Release(100 * MS)]
    assert grammar.deadline_ns() is None
    assert grammar.edge(due + 400 * MS, True) == [Press(due + 400 * MS)]


def test_a_release_that_is_lost_after_a_hold_does_not_swallow_the_next_press() -> None:
    grammar = TouchGrammar(LOCKOUT)
    grammar.edge(100 * MS, True)
    assert grammar.tick(3100 * MS, True) == [Hold(100 * MS)]
    assert grammar.tick(4000 * MS, False) == []
    assert grammar.edge(5000 * MS, True) == [Press(5000 * MS)]


@given(st.lists(st.integers(1, 4000), max_size=60))
def test_touches_are_never_closer_than_the_lockout_and_holds_follow_their_press(pauses: list[int]) -> None:
    edges, at = [], 0
    for number, pause in enumerate(pauses):
        at += pause
        edges.append((at, number % 2 == 0))
    presses: list[int] = []
    undecided: list[int] = []
    for touch in play(edges, at + 10_000):
        match touch:
            case Press(at_ns):
                assert not presses or at_ns - presses[-1] > LOCKOUT * MS
                assert not undecided, "each press ends in a release or a hold, before the next"
                presses.append(at_ns)
                undecided.append(at_ns)
            case Hold(since_ns) | Release(since_ns):
                assert [since_ns] == undecided
                undecided.clear()
    assert not undecided
    assert HOLD_NS == 3000 * MS


@given(st.lists(st.booleans(), max_size=40))
def test_repeated_edges_do_no_harm(pressed: list[bool]) -> None:
    play([(number * 7, value) for number, value in enumerate(pressed)], 100_000)
