"""The thread that writes. Everything that may wait for a disk happens here, so that nothing else ever does."""

import logging
import threading
from collections.abc import Callable
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
from missed_moment.errors import MissedMomentError, StoreFullError
from missed_moment.health import Fault, Health
from missed_moment.services.status import StoreStatus
from missed_moment.services.store_mount import wait_for_mount

log = logging.getLogger(__name__)

_LOOK_S = 10.0
STALLED_NS = 20 * NS
"""A single write or sync that takes longer than this is reported while it lasts."""


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
        self.stored = StoreStatus()
        self._moments: list[Moment] = []  # those that `stored` counts
        self._out_of_reach = False
        self._clock = (False, False)  # what was known of the time when dates were last looked at
        self._queue: SimpleQueue[Order | Literal["look", "stop"]] = SimpleQueue()
        self._lock = threading.Lock()
        self._orders: list[Order] = []  # not finished yet, oldest first
        self._thread = threading.Thread(target=self._work, name="saver", daemon=True)

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def submit(self, order: Order) -> None:
        """Take an order. Returns at once."""
        with self._lock:
            self._orders.append(order)
        self._queue.put(order)

    def withdraw(self, order: Order) -> None:
        """Make sure that nothing of an order stays in the store. Its take must have been cut."""
        order.withdrawn = True
        with self._lock:
            finished = order not in self._orders
        if finished:
            self._queue.put(order)  # the saver's own thread deletes it: that, too, waits for the disk

    def look(self) -> None:
        """Look at the store again soon: somebody else changed it."""
        self._queue.put("look")

    def orders(self) -> list[Order]:
        """List the orders that are not finished, oldest first."""
        with self._lock:
            return list(self._orders)

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
                if job in self.orders():
                    self._save(job)
                    self._on_done(job)
                else:
                    self._forget(job)
            self._count()

    def _recover(self) -> None:
        try:
            self._catalogue.prepare()
            self._store_lock.acquire()
            recover(self._catalogue, self._writer.label.device)
        except OSError as error:
            self._health.report(Fault.SAVE_FAILED, str(error))

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
                self._out_of_reach = False
                self._health.clear(Fault.SAVE_FAILED)
                self._recover()
                self._count()

    def _save(self, order: Order) -> None:
        try:
            self._store_lock.acquire()
            moment = self._writer.write(order, self._on_kept)
        except StoreFullError as error:
            self._health.report(Fault.STORAGE_FULL, str(error))
        except MissedMomentError as error:
            self._health.report(Fault.SAVE_FAILED, str(error))
        except OSError as error:  # there is no store to be locked
            self._health.report(Fault.SAVE_FAILED, f"{self._catalogue.root} cannot be written to ({error.strerror})")
        else:
            self._health.clear(Fault.SAVE_FAILED)
            if moment is not None:
                log.info("%s is stored (%.1f MB)", moment.path.name, moment.size / 1e6)
                self._recover()  # what an earlier save could not finish
        with self._lock:
            self._orders.remove(order)
            withdrawn = order.withdrawn
        if withdrawn:
            self._forget(order)

    def _forget(self, order: Order) -> None:
        """Delete whatever became of an order."""
        if order.sequence is None:
            return
        try:
            self._catalogue.forget(order.sequence)
        except OSError as error:
            self._health.report(
                Fault.SAVE_FAILED,
                f"moment {order.sequence} in {self._catalogue.root} could not be forgotten ({error.strerror}): "
                "delete it by hand",
            )
