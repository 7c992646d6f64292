"""The thread that writes. Everything that may wait for a disk happens here, so that nothing else ever does."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Literal

from missed_moment import clock
from missed_moment.clips.catalogue import Catalogue, Moment
from missed_moment.clips.instant import Instant
from missed_moment.clips.recovery import recover
from missed_moment.clips.room import Room
from missed_moment.clips.store_lock import StoreLock
from missed_moment.clips.writer import MomentWriter, Order
from missed_moment.clock import NS
from missed_moment.errors import MissedMomentError, StoreFullError, reason
from missed_moment.health import Fault, Health
from missed_moment.services.status import StoreStatus
from missed_moment.services.store_mount import wait_for_mount

log = logging.getLogger(__name__)

_LOOK_S = 10.0
FORGETTING_NS = 120 * NS
"""Overwriting the longest moment takes a slow card about that long."""
_FORGETTING = "forgetting"  # this part of the fault is cleared by itself
STALLED_NS = 20 * NS
"""A single write or sync that takes longer than this is reported while it lasts."""


@dataclass(eq=False)
class Forgetting:
    """Orders of which nothing may stay in the store; `gone` is set once nothing does."""

    orders: tuple[Order, ...]
    gone: threading.Event = field(default_factory=threading.Event)


class Saver:
    """Takes orders at any time, writes them one after the other, and says what became of each."""

    def __init__(
        self,
        writer: MomentWriter,
        catalogue: Catalogue,
        room: Room,
        one_moment: int,
        health: Health,
        on_kept: Callable[[Order], None],
        on_done: Callable[[Order], None],
        on_forgotten: Callable[[], None] = lambda: None,
    ) -> None:
        """Set up; `one_moment` is the room that the next moment will need, in bytes."""
        self._writer = writer
        self._catalogue = catalogue
        self._room = room
        self._store_lock = StoreLock(catalogue.root)
        self._one_moment = one_moment
        self._health = health
        self._on_kept = on_kept
        self._on_done = on_done
        self._on_forgotten = on_forgotten
        self.stored = StoreStatus()
        self._moments: list[Moment] = []  # those that `stored` counts
        self._out_of_reach = False
        self._full = False
        self._clock = (False, False)  # what was known of the time when dates were last looked at
        self._queue: SimpleQueue[Order | Forgetting | Literal["look", "stop"]] = SimpleQueue()
        self._lock = threading.Lock()
        self._orders: list[Order] = []  # not finished yet, oldest first
        self._forgettings: list[Forgetting] = []
        self._unforgotten = False  # the disk did not let us
        self._forgetting_since_ns: int | None = None
        self._thread = threading.Thread(target=self._work, name="saver", daemon=True)

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def submit(self, order: Order) -> None:
        """Take an order. Returns at once."""
        with self._lock:
            self._orders.append(order)
        self._queue.put(order)

    def forget(self, orders: Sequence[Order]) -> threading.Event:
        """Withdraw orders, whose takes must have been cut, and delete what they became. Returns at once.

        What it returns is set when nothing of them is left in the store or in RAM, before `on_forgotten` is called.
        """
        for order in orders:
            order.withdrawn = True
        forgetting = Forgetting(tuple(orders))
        with self._lock:
            self._forgettings.append(forgetting)
        self._queue.put(forgetting)  # after them: the saver's own thread deletes them
        return forgetting.gone

    @property
    def forgets(self) -> bool:
        """Whether something is being forgotten that is not gone yet. False if the disk fails: that is a fault."""
        with self._lock:
            return bool(self._forgettings) and not self._unforgotten

    def look(self) -> None:
        """Look at the store again soon: somebody else changed it."""
        self._queue.put("look")

    def orders(self) -> list[Order]:
        """List the orders that are not finished, oldest first."""
        with self._lock:
            return list(self._orders)

    def unforgotten(self) -> list[Order]:
        """List the orders that are being forgotten: something of them may still be in the store."""
        with self._lock:
            return [order for each in self._forgettings for order in each.orders]

    def report_stall(self, now_ns: int) -> None:
        """Report a disk that has not answered for long. The save goes on when it does."""
        for order in self.orders()[:1]:
            since_ns = order.disk_since_ns
            if since_ns is not None and now_ns - since_ns > STALLED_NS:
                self._health.report(
                    Fault.SAVE_FAILED,
                    f"the disk of {self._catalogue.root} has not answered for more than {STALLED_NS // NS} s: "
                    "nothing is lost yet; if it stays so, replace the card",
                )
        since_ns = self._forgetting_since_ns
        if since_ns is not None and now_ns - since_ns > FORGETTING_NS:
            self._unforgotten = True
            self._health.report(
                Fault.SAVE_FAILED,
                f"the disk of {self._catalogue.root} has been overwriting what is to be forgotten for more than "
                f"{FORGETTING_NS // NS} s: it is not gone yet; if it stays so, erase or destroy the card",
                _FORGETTING,
            )

    def stop(self, timeout_s: float) -> bool:
        """Finish what was ordered; False where that took longer than `timeout_s`."""
        self._queue.put("stop")
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        wait_for_mount(self._catalogue.root)
        self._recover()
        self._count()
        while True:
            self._forget()
            self._redate()
            self._tidy()
            self._check_room()
            try:
                job = self._queue.get(timeout=_LOOK_S)
            except Empty:
                continue
            if job == "stop":
                self._store_lock.release()
                return
            if isinstance(job, Order):
                self._save(job)
                self._on_done(job)
            elif isinstance(job, Forgetting):
                self._forget()
            self._count()

    def _recover(self) -> None:
        if not self._forget():
            return  # what is to be forgotten must not be finished
        try:
            self._catalogue.prepare()
            self._store_lock.acquire()
            self._health.clear(Fault.SAVE_FAILED, "leftover")
            recover(self._catalogue, self._writer.label.device, self._report_leftover, self._room)
        except OSError as error:
            self._health.report(Fault.SAVE_FAILED, str(error))

    def _report_leftover(self, message: str) -> None:
        self._health.report(Fault.SAVE_FAILED, message, "leftover")

    def _count(self) -> None:
        """Look at what is in the store."""
        try:
            moments = self._catalogue.moments()
            free = self._catalogue.disk.free(self._catalogue.root)
        except OSError as error:
            log.warning("the store cannot be looked at (%s)", error)
            return
        self._moments = moments
        waiting = sum(moment.exported is None for moment in moments)
        self.stored = StoreStatus(moments=len(moments), not_exported=waiting, free_bytes=free)

    def _tidy(self) -> None:
        """Let go of what a stick has had for long enough. Where nothing is due, the disk is not asked."""
        try:
            if self._room.tidy(self._moments, Instant.now()):
                self._count()
        except OSError as error:
            log.warning("what was exported long ago cannot be deleted (%s)", error)
            self._count()

    def _redate(self) -> None:
        """More may be known of the time than when the moments of this boot were taken."""
        now = clock.wall_time()
        if (known := (now.certain, now.from_stick)) == self._clock:
            return
        self._clock = known
        try:
            self._catalogue.redate(clock.boot_id(), clock.wall_time)
        except OSError as error:
            log.warning("moments keep the dates that they have (%s)", error)

    def _check_room(self) -> None:
        """Would one more fit? Full is said before the next press."""
        try:
            self._room.check(self._one_moment)
        except StoreFullError as error:
            self._full = True
            self._health.report(Fault.STORAGE_FULL, str(error))
        except OSError as error:
            self._out_of_reach = True
            self._health.report(
                Fault.SAVE_FAILED,
                f"the clip store {self._catalogue.root} cannot be written to ({error.strerror}): what is pressed for "
                "now cannot be kept; if that is so after the next start as well, replace the card",
            )
        else:
            self._health.clear(Fault.STORAGE_FULL)
            if self._out_of_reach:
                self._health.clear(Fault.SAVE_FAILED)
            if self._out_of_reach or self._full:  # there may be a moment that could not be finished
                self._out_of_reach = self._full = False
                self._recover()
                self._count()

    def _save(self, order: Order) -> None:
        try:
            self._catalogue.prepare()
            self._store_lock.acquire()
            moment = self._writer.write(order, self._on_kept)
        except StoreFullError as error:
            self._full = True
            self._health.report(Fault.STORAGE_FULL, str(error))
        except MissedMomentError as error:
            self._health.report(Fault.SAVE_FAILED, str(error))
        except OSError as error:  # there is no store to be locked
            self._health.report(Fault.SAVE_FAILED, f"{self._catalogue.root} cannot be written to ({error.strerror})")
        else:
            if moment is not None:
                self._health.clear(Fault.SAVE_FAILED)
                log.info("%s is stored (%.1f MB)", moment.path.name, moment.size / 1e6)
                self._recover()  # what an earlier save could not finish
        with self._lock:
            self._orders.remove(order)

    def _forget(self) -> bool:
        """Delete what became of withdrawn orders that are finished; False if the disk does not let us."""
        with self._lock:
            due = [each for each in self._forgettings if not any(order in self._orders for order in each.orders)]
        # All of them, before the first is overwritten: that may take long, or fail.
        for order in (order for forgetting in due for order in forgetting.orders):
            for sequence in order.sequences:
                with suppress(OSError):  # `_delete` tries again, and reports it
                    self._catalogue.entomb(sequence)
        done = [self._delete(forgetting) for forgetting in due]
        if self._unforgotten and not self._forgettings:
            self._unforgotten = False
            self._health.clear(Fault.SAVE_FAILED, _FORGETTING)
        return all(done)

    def _delete(self, forgetting: Forgetting) -> bool:
        self._forgetting_since_ns = clock.monotonic_ns()
        failed = False
        for order in forgetting.orders:
            try:
                for sequence in order.sequences:
                    self._catalogue.forget(sequence)
                order.has_no_moment()
            except OSError as error:
                failed = self._unforgotten = True
                self._health.report(
                    Fault.SAVE_FAILED,
                    f"moment {order.sequence} in {self._catalogue.root} cannot be forgotten ({reason(error)}): the "
                    f"recorder tries again every {_LOOK_S:.0f} s; if this stays so, erase or destroy the card",
                    _FORGETTING,
                )
        self._forgetting_since_ns = None
        if failed:
            return False
        with self._lock:
            self._forgettings.remove(forgetting)
        forgetting.gone.set()
        self._on_forgotten()
        return True
