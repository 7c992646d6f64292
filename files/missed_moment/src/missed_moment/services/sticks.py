"""What exporters tell of the sticks that are in. Pure; times are nanoseconds of CLOCK_MONOTONIC."""

from dataclasses import dataclass

from missed_moment.clock import NS
from missed_moment.panel.language import Stick

BELIEVED_NS = 15 * NS
"""What was told is believed this long. Exporters repeat themselves; one that does not was killed."""
MOST = 1000
"""Names of sticks that are remembered: ports, and directories that were exported to. More, nobody has."""
DONE_SHOWN_NS = 60 * NS
"""A stick that is done is shown this long: one that stays in would hide everything else."""


@dataclass(frozen=True)
class _Told:
    stick: Stick
    trouble: str
    copied: float
    at_ns: int
    since_ns: int  # when it was told for the first time that it is that far


class Sticks:
    """All of them together: one LED has to speak for as many as there are ports."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}
        self._began_ns: dict[str, int] = {}
        self._now_ns = 0

    def tell(self, name: str, stick: Stick, trouble: str, now_ns: int, copied: float = 0.0, began_ns: int = 0) -> bool:
        """The stick called `name` is that far. True where this is news, apart from which share of it is copied.

        `trouble` is what went wrong with it, or empty.
        Trouble with one that is out already (NONE) stands until the next is plugged in: who pulls a stick too
        early could not see it otherwise.

        Sticks are named after their ports. After a quick replug, the exporter of the stick before may still be ending:
        `began_ns` is when an exporter began, and an older one is not heard once a newer one of that port was.
        """
        if began_ns < self._began_ns.get(name, 0) or (name not in self._began_ns and len(self._began_ns) >= MOST):
            return False
        self._began_ns[name] = began_ns
        self._now_ns = now_ns
        before = self._told.get(name)
        if before is None:
            self._told = {other: told for other, told in self._told.items() if told.stick is not Stick.NONE}
        if stick is Stick.NONE and not trouble:
            return self._told.pop(name, None) is not None
        since_ns = before.since_ns if before is not None and before.stick is stick else now_ns
        self._told[name] = _Told(stick, trouble, copied, now_ns, since_ns)
        return before is None or (before.stick, before.trouble) != (stick, trouble)

    def tick(self, now_ns: int) -> None:
        """Time passed: who fell silent is not believed any longer."""
        self._now_ns = now_ns
        self._told = {
            name: told
            for name, told in self._told.items()
            if told.stick is Stick.NONE or now_ns - told.at_ns < BELIEVED_NS
        }

    @property
    def state(self) -> Stick:
        """The state to show: COPYING while any copy is made, DONE for a minute only."""
        states = {told.stick for told in self._told.values() if not self._was_shown(told)}
        return next((state for state in (Stick.COPYING, Stick.FAILED, Stick.DONE) if state in states), Stick.NONE)

    def _was_shown(self, told: _Told) -> bool:
        return told.stick is Stick.DONE and self._now_ns - told.since_ns >= DONE_SHOWN_NS

    @property
    def copied(self) -> float:
        """Which share of all that is being copied is done, from 0 to 1; the one that is least far counts."""
        return min((told.copied for told in self._told.values() if told.stick is Stick.COPYING), default=0.0)

    @property
    def trouble(self) -> str:
        """What is wrong with any of them; empty when nothing is."""
        return "; ".join(told.trouble for told in self._told.values() if told.trouble)
