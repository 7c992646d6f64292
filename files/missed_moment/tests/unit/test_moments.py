"""The press grammar: examples first, then every order of presses, time and forgetting."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from missed_moment.clock import NS
from missed_moment.moments import Action, Close, Forget, Open, PressGrammar, Window, Withdraw

BEFORE, AFTER, LIMIT = 60, 5, 180


def grammar() -> PressGrammar:
    return PressGrammar(BEFORE, AFTER, LIMIT)


def window(start_s: float, end_s: float, *presses_s: float) -> Window:
    return Window(round(start_s * NS), round(end_s * NS), tuple(round(press * NS) for press in presses_s))


def test_a_press_opens_a_window_that_time_closes() -> None:
    presses = grammar()
    assert presses.press(100 * NS) == [Open(window(40, 105, 100))]
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
    assert presses.press(107 * NS) == [Close(window(40, 105, 100)), Open(window(47, 112, 107))]


def test_at_the_limit_another_moment_takes_over_without_a_gap() -> None:
    presses = grammar()
    actions: list[Action] = []
    for second in range(100, 300, 4):
        actions += presses.press(second * NS)
    first, closed, second_one = actions[:3]
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
    assert presses.forget(102 * NS) == [Close(window(40, 102, 100)), Forget()]
    assert presses.forget(103 * NS) == [Forget()]


def test_a_hold_withdraws_what_its_own_press_opened() -> None:
    presses = grammar()
    presses.press(100 * NS)
    assert presses.forget(103 * NS, held_since_ns=100 * NS) == [
        Close(window(40, 103, 100)),
        Withdraw(100 * NS),
        Forget(),
    ]


def test_a_hold_withdraws_its_moment_even_after_that_was_closed() -> None:
    presses = PressGrammar(BEFORE, 1, LIMIT)
    presses.press(100 * NS)
    presses.tick(101 * NS)
    assert presses.forget(103 * NS, held_since_ns=100 * NS) == [Withdraw(100 * NS), Forget()]


def test_a_hold_leaves_what_an_earlier_press_opened() -> None:
    presses = grammar()
    presses.press(100 * NS)
    presses.press(101 * NS)
    assert presses.forget(104 * NS, held_since_ns=101 * NS) == [Close(window(40, 104, 100, 101)), Forget()]


class Presses(RuleBasedStateMachine):
    """Whatever people do, every press is inside a window that has its history and its post-roll."""

    def __init__(self) -> None:
        super().__init__()
        self.grammar = PressGrammar(BEFORE, AFTER, LIMIT)
        self.now = 1000 * NS
        self.open: Window | None = None
        self.windows: list[Window] = []
        self.presses: list[int] = []
        self.forgotten: list[int] = []

    def follow(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Open(opened):
                    assert self.open is None
                    self.open = opened
                case Close(closed):
                    assert self.open is not None
                    assert closed.start_ns == self.open.start_ns
                    self.windows.append(closed)
                    self.open = None
                case Withdraw(press_ns):
                    assert any(window.presses[0] == press_ns for window in self.windows)

    @rule(seconds=st.floats(0, 70))
    def wait(self, seconds: float) -> None:
        self.now += round(seconds * NS)

    @rule()
    def press(self) -> None:
        self.presses.append(self.now)
        self.follow(self.grammar.press(self.now))

    @rule()
    def tick(self) -> None:
        self.follow(self.grammar.tick(self.now))

    @rule(held=st.booleans())
    def forget(self, held: bool) -> None:
        self.forgotten.append(self.now)
        self.follow(self.grammar.forget(self.now, self.presses[-1] if held and self.presses else None))
        assert self.grammar.window is None

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
            cut_short = any(press <= at < wanted for at in self.forgotten)
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
