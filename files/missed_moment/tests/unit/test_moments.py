"""The press grammar: examples first, then every order of presses, time and forgetting."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from missed_moment.clock import NS
from missed_moment.moments import Action, Close, Open, PressGrammar, Window, Wipe, Write

BEFORE, AFTER, LIMIT, UNDECIDED = 60, 5, 180, 4


def grammar() -> PressGrammar:
    return PressGrammar(BEFORE, AFTER, LIMIT, UNDECIDED)


def window(start_s: float, end_s: float, *presses_s: float) -> Window:
    return Window(round(start_s * NS), round(end_s * NS), tuple(round(press * NS) for press in presses_s))


def test_a_press_opens_a_window_that_time_closes() -> None:
    presses = grammar()
    assert presses.press(100 * NS) == [Open(window(40, 105, 100)), Write()]
    assert presses.tick(105 * NS - 1) == []
    assert presses.tick(105 * NS) == [Close(window(40, 105, 100))]
    assert presses.tick(106 * NS) == []


def test_a_press_during_post_roll_lets_the_moment_grow() -> None:
    presses = grammar()
    presses.press(100 * NS)
    assert presses.press(103 * NS) == []
    assert presses.tick(105 * NS) == []
    assert presses.tick(108 * NS) == [Close(window(40, 108, 100, 103))]


def test_a_press_after_the_end_opens_another_moment_with_its_whole_history() -> None:
    presses = grammar()
    presses.press(100 * NS)
    assert presses.press(107 * NS) == [
        Close(window(40, 105, 100)),
        Open(window(47, 112, 107)),
        Write(),
    ]


def test_at_the_limit_another_moment_takes_over_without_a_gap() -> None:
    presses = grammar()
    actions: list[Action] = []
    for second in range(100, 300, 4):
        actions += presses.press(second * NS)
    first, _, closed, second_one = actions[:4]
    assert isinstance(first, Open)
    assert isinstance(closed, Close)
    assert isinstance(second_one, Open)
    assert closed.window.end_ns - closed.window.start_ns <= LIMIT * NS
    assert second_one.window.start_ns == closed.window.end_ns - BEFORE * NS


def test_no_post_roll_closes_at_the_press() -> None:
    presses = PressGrammar(BEFORE, 0, LIMIT)
    presses.press(100 * NS)
    assert presses.tick(100 * NS) == [Close(window(40, 100, 100))]


def test_forget_ends_what_is_open_and_wipes() -> None:
    presses = grammar()
    presses.press(100 * NS)
    assert presses.forget(102 * NS) == [Close(window(40, 102, 100)), Wipe()]
    assert presses.forget(103 * NS) == [Wipe()]


def test_what_a_button_opens_is_written_when_it_is_released() -> None:
    presses = grammar()
    assert presses.press(100 * NS, down=True) == [Open(window(40, 105, 100))]
    assert presses.unwritten
    assert presses.tick(101 * NS) == []
    assert presses.release(100 * NS) == [Write()]
    assert not presses.unwritten
    assert presses.decision_ns is None
    assert presses.release(100 * NS) == []


def test_what_a_hold_opened_is_never_written() -> None:
    presses = grammar()
    presses.press(100 * NS, down=True)
    assert presses.forget(103 * NS) == [Close(window(40, 103, 100)), Wipe()]
    assert not presses.unwritten
    assert presses.release(100 * NS) == []
    assert presses.tick(200 * NS) == []
    assert presses.end(201 * NS) == []


def test_a_press_whose_release_is_never_seen_counts_in_time() -> None:
    presses = grammar()
    presses.press(100 * NS, down=True)
    assert presses.decision_ns == 104 * NS
    assert presses.tick(104 * NS - 1) == []
    assert presses.tick(104 * NS) == [Write()]
    assert presses.decision_ns is None


def test_a_window_that_ends_while_the_button_is_down_is_written_at_the_release() -> None:
    presses = PressGrammar(BEFORE, 1, LIMIT, UNDECIDED)
    presses.press(100 * NS, down=True)
    assert presses.tick(101 * NS) == [Close(window(40, 101, 100))]
    assert presses.release(100 * NS) == [Write()]


def test_an_undecided_press_counts_when_the_next_comes() -> None:
    presses = grammar()
    presses.press(100 * NS, down=True)
    assert presses.press(101 * NS) == [Write()]
    assert presses.decision_ns is None
    presses.press(102 * NS, down=True)
    assert presses.decision_ns == 106 * NS
    assert presses.release(100 * NS) == [], "of the earlier one"
    assert presses.release(102 * NS) == [], "it lets a moment grow that is being written"


def test_an_undecided_press_that_opens_another_moment_at_the_limit_is_not_written_yet() -> None:
    presses = PressGrammar(BEFORE, AFTER, BEFORE + AFTER, UNDECIDED)
    presses.press(100 * NS)
    assert presses.press(101 * NS, down=True) == [Close(window(40, 101, 100)), Open(window(41, 106, 101))]
    assert presses.release(101 * NS) == [Write()]


def test_switching_off_leaves_an_undecided_press_undecided() -> None:
    presses = grammar()
    presses.press(100 * NS, down=True)
    assert presses.wipe(101 * NS) == [Close(window(40, 101, 100)), Wipe()]
    assert presses.release(100 * NS) == [Write()]


class Presses(RuleBasedStateMachine):
    """Whatever people do, every press is inside a window that has its history and its post-roll.

    And every window is written, unless it was forgotten before that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.grammar = PressGrammar(BEFORE, AFTER, LIMIT, UNDECIDED)
        self.now = 1000 * NS
        self.open: Window | None = None
        self.windows: list[Window] = []
        self.presses: list[int] = []
        self.wiped: list[int] = []
        self.unwritten: Window | None = None
        self.written: list[int] = []
        self.forgotten: list[int] = []

    def follow(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Open(opened):
                    assert self.open is None
                    assert self.unwritten is None
                    self.open = self.unwritten = opened
                case Write():
                    assert self.unwritten is not None
                    self.written.append(self.unwritten.presses[0])
                    self.unwritten = None
                case Close(closed):
                    assert self.open is not None
                    assert closed.start_ns == self.open.start_ns
                    self.windows.append(closed)
                    self.open = None

    @rule(seconds=st.floats(0, 70))
    def wait(self, seconds: float) -> None:
        self.now += round(seconds * NS)

    @rule(down=st.booleans())
    def press(self, down: bool) -> None:
        self.presses.append(self.now)
        self.follow(self.grammar.press(self.now, down=down))
        assert down or self.unwritten is None

    @rule()
    def release(self) -> None:
        if self.presses:
            self.follow(self.grammar.release(self.presses[-1]))
            assert self.unwritten is None

    @rule()
    def tick(self) -> None:
        self.follow(self.grammar.tick(self.now))
        assert self.unwritten is None or self.now < self.unwritten.presses[0] + UNDECIDED * NS

    @rule()
    def wipe(self) -> None:
        self.wiped.append(self.now)
        self.follow(self.grammar.wipe(self.now))
        assert self.grammar.window is None

    @rule()
    def forget(self) -> None:
        self.wiped.append(self.now)
        if self.unwritten is not None:
            self.forgotten.append(self.unwritten.presses[0])
        self.unwritten = None
        self.follow(self.grammar.forget(self.now))
        assert self.grammar.window is None
        assert not self.grammar.unwritten

    @invariant()
    def what_was_taken_is_written_or_forgotten(self) -> None:
        undecided = [] if self.unwritten is None else [self.unwritten.presses[0]]
        ended = sorted([*self.written, *self.forgotten, *undecided])
        assert ended == sorted(window.presses[0] for window in self.all())
        assert self.grammar.unwritten is (self.unwritten is not None)

    @invariant()
    def every_press_has_its_history(self) -> None:
        for press in self.presses:
            holders = [window for window in self.all() if press in window.presses]
            assert holders
            assert any(window.start_ns <= press - BEFORE * NS for window in holders)

    @invariant()
    def every_press_has_its_post_roll(self) -> None:
        for press in self.presses:
            wanted = press + AFTER * NS
            cut_short = any(press <= at < wanted for at in self.wiped)
            covered = any(window.start_ns <= press and wanted <= window.end_ns for window in self.all())
            assert covered or cut_short

    @invariant()
    def no_window_is_longer_than_the_limit(self) -> None:
        assert all(window.end_ns - window.start_ns <= LIMIT * NS for window in self.all())

    @invariant()
    def what_the_grammar_calls_open_is_open(self) -> None:
        opened = self.grammar.window
        assert (opened is None) == (self.open is None)

    def all(self) -> list[Window]:
        opened = self.grammar.window
        return self.windows + ([opened] if opened else [])


TestPresses = Presses.TestCase
TestPresses.settings = settings(max_examples=200, stateful_step_count=40)
