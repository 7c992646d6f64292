"""What presses take from the ring: the minute and what follows, as orders for the saver; and what a hold forgets.

No thread and no lock: the recorder's lock orders all calls, and none of them waits.
"""

from collections.abc import Callable

from missed_moment.clips.writer import Order
from missed_moment.clock import NS
from missed_moment.config import MomentSettings
from missed_moment.memory_budget import RingSize
from missed_moment.moments import Action, Close, Open, PressGrammar, Wipe, Write
from missed_moment.packets import VideoFormat
from missed_moment.panel.touch import HOLD_NS
from missed_moment.ring import Ring, Take
from missed_moment.services.saver import Saver

GRACE_NS = 2 * NS
"""A window that ended waits so long for its last pictures, which are still being encoded."""
UNDECIDED_NS = HOLD_NS + 2 * NS
"""A press of the button counts after this long, if neither its release nor a hold was seen: a hold comes before."""


class Presses:
    """The grammar of presses, applied to one ring and one saver; times are nanoseconds of CLOCK_MONOTONIC."""

    def __init__(
        self,
        moment: MomentSettings,
        ring: Ring,
        saver: Saver,
        size: RingSize,
        post_roll_bytes: int,
        captured: Callable[[], tuple[VideoFormat, bool]],
    ) -> None:
        """Set up; `captured` tells the format of the frames of now, and whether there is sound."""
        self.undecided_s = UNDECIDED_NS / NS
        self._grammar = PressGrammar(moment.before_s, moment.after_s, moment.limit_s, self.undecided_s)
        self._ring = ring
        self._saver = saver
        self._size = size
        self._post_roll_bytes = post_roll_bytes
        self._captured = captured
        self._order: Order | None = None  # the one opened last
        self._unfinished: list[Order] = []  # when the button went down
        self._ending: list[tuple[int, Take]] = []  # (when to stop waiting for its last pictures, take)

    @property
    def undecided(self) -> bool:
        """Whether a button is down that may still become a hold."""
        return self._grammar.decision_ns is not None

    @property
    def unwritten(self) -> bool:
        """Whether the order opened last has not been given to the saver yet."""
        return self._grammar.unwritten

    def press(self, now_ns: int, down: bool) -> None:
        """Take the last minute; while the button is `down`, it is only written once that is decided."""
        self._end_interrupted(now_ns)
        if down:
            self._unfinished = self._saver.orders()
        elif not self.undecided:  # a button that is down may still become a hold
            self._unfinished = []
        self._apply(self._grammar.press(now_ns, down=down))

    def release(self, pressed_ns: int) -> None:
        """The button that went down at `pressed_ns` was released before that became a hold."""
        self._apply(self._grammar.release(pressed_ns))

    def decide(self) -> None:
        """A press that is undecided counts now."""
        self._apply(self._grammar.decide())

    def end(self, now_ns: int) -> None:
        """End the window that is open."""
        self._apply(self._grammar.end(now_ns))

    def wipe(self, now_ns: int) -> None:
        """Drop the last minute; what a press asked for ends now, and stays."""
        self._apply(self._grammar.wipe(now_ns))

    def forget(self, now_ns: int, held_since_ns: int | None) -> list[Order]:
        """Drop the last minute and what was never written; return the orders that are to be forgotten as well.

        They are those that were not finished when the button went down, if a press at `held_since_ns` became a hold,
        and those that are being forgotten already.
        """
        unwritten, last = self.unwritten, self._order
        self._apply(self._grammar.forget(now_ns))
        orders = self._saver.orders()
        if held_since_ns is not None:
            orders += [order for order in self._unfinished if order not in orders]
        orders += [order for order in self._saver.unforgotten() if order not in orders]
        if last is not None and unwritten:
            self._let_go(last)
        elif last is not None and held_since_ns in last.presses and last not in orders:
            orders.append(last)
        for order in orders:
            self._ring.cut(order.take)
        self._order, self._unfinished, self._ending = None, [], []
        return orders

    def done(self, order: Order, now_ns: int) -> None:
        """The saver is done with an order."""
        if order is self._order and self._grammar.window is not None:
            # It failed before its end: the next press must open another, not let this one grow.
            self.end(now_ns)
        self._let_go(order)

    def tick(self, now_ns: int) -> None:
        """End windows and takes whose time has come."""
        self._end_interrupted(now_ns)
        self._apply(self._grammar.tick(now_ns))
        for due_ns, take in self._ending:
            if due_ns <= now_ns:
                self._ring.cut(take)
        self._ending = [(due_ns, take) for due_ns, take in self._ending if due_ns > now_ns]

    def due_ns(self) -> list[int]:
        """Return when `tick` has something to do."""
        window, decision_ns = self._grammar.window, self._grammar.decision_ns
        due = [due_ns for due_ns, _ in self._ending]
        return [*due, *([window.end_ns] if window else []), *([decision_ns] if decision_ns else [])]

    def backlog_ns(self, now_ns: int) -> int:
        """How much capture time is held in RAM for the disk; longer by as much as the encoder overshoots the bound."""
        unwritten = [self._order] if self._order is not None and self.unwritten else []
        read_ns = [order.take.read_ns for order in (*self._saver.orders(), *unwritten)[:1]]
        held_ns = max((now_ns - read for read in read_ns if read is not None), default=0)
        return round(held_ns * self._size.overshoot(self._ring.state())) if held_ns else 0

    def _apply(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Open(window):
                    take = self._ring.follow(window.start_ns)
                    room = self._ring.state().size + self._post_roll_bytes
                    video, audible = self._captured()
                    self._order = Order(take, video, window.presses, room, bool(take.pcm_history) or audible)
                case Write() if self._order is not None:
                    self._saver.submit(self._order)
                case Close(window) if self._order is not None:
                    self._order.presses = window.presses
                    self._ring.end(self._order.take, window.end_ns)
                    self._ending.append((window.end_ns + GRACE_NS, self._order.take))
                case Wipe():
                    self._ring.wipe()

    def _end_interrupted(self, now_ns: int) -> None:
        """End a moment whose camera went away: what the camera films when it is back belongs to the next one."""
        if self._grammar.window is not None and self._order is not None and self._order.take.interrupted(now_ns):
            self.end(now_ns)

    def _let_go(self, order: Order) -> None:
        """Let go of what an order has taken: it is written, or nobody wants it any more."""
        self._ring.cut(order.take)
        order.take.release()
