"""The recorder: camera and microphone to ring, press to moment, and what is told about it. Wiring, and one lock.

The lock orders presses, the end of windows and forgetting. It is never held while anything waits: the disk has
its own thread (`saver`), camera and microphone have theirs (`keeper`), and the ring is passed references only.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from missed_moment import clock
from missed_moment.board import Board
from missed_moment.capture.camera import Camera
from missed_moment.capture.choice import CameraChooser
from missed_moment.capture.meter import FrameMeter
from missed_moment.capture.microphone import Microphone
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.room import Room
from missed_moment.clips.writer import Label, MomentWriter, Order
from missed_moment.clock import NS
from missed_moment.config import Loaded
from missed_moment.durable import Disk
from missed_moment.errors import StoreError
from missed_moment.health import Fault, Health
from missed_moment.ladder import Ladder, Restarts, Step
from missed_moment.memory_budget import BACKLOG_RINGS, BYTES_MARGIN, ring_size
from missed_moment.packets import VideoFormat
from missed_moment.panel import language
from missed_moment.panel.language import Signal, Situation, Stick
from missed_moment.ring import Ring
from missed_moment.services.keeper import Keeper
from missed_moment.services.presses import Presses
from missed_moment.services.saver import Saver
from missed_moment.services.sources import Filming, Listening
from missed_moment.services.status import FrameStatus, RingStatus, Status, noted_fault, power_status, versions
from missed_moment.services.sticks import Sticks

_HOUSEKEEPING_NS = NS // 2


class Recorder:
    """One camera, one microphone at most, one store, one ring."""

    def __init__(
        self,
        loaded: Loaded,
        camera: Camera | CameraChooser,
        microphone: Microphone | None,
        store: Path,
        disk: Disk,
        board: Board,
        show: Callable[[Signal], None],
        alive: Callable[[], None] = lambda: None,
        exposure: Callable[[], str | None] = lambda: None,
        give_up: Callable[[Step], None] = lambda _: None,
        runtime: Path | None = None,
        backlog_rings: float = BACKLOG_RINGS,
        patience_ns: int = 0,
    ) -> None:
        """Wire everything; nothing runs and nothing is opened before `start`.

        `show` and `alive` (see Keeper) must return at once. `exposure` says how what is in RAM could reach storage:
        while it does, nothing is filmed. `give_up` ends this process, to be started again or with the board;
        `runtime` is a directory in RAM that outlives it. A disk that stopped may hold up `backlog_rings` in RAM.
        Devices may be absent for `patience_ns` after `start`.
        """
        self.settings = settings = loaded.settings
        self.health = Health()
        self.catalogue = Catalogue(store, disk)
        self._board = board
        self._exposure = exposure
        self._exposed = False
        self._allowed = loaded.camera_allowed
        self._switched_on = True
        self._show = show
        size = ring_size(settings)
        # Sound goes on for as long as the last picture is shown, and further if it is to be played earlier.
        sound_ahead_ns = round(2 * NS / settings.video.fps + max(0.0, -settings.sound.offset_ms) * 1e6)
        self.ring = Ring(size.seconds, size.max_bytes, sound_ahead_ns)
        self._meter = FrameMeter()
        self._ladder = Ladder(runtime, store, disk)
        self._give_up = give_up
        self._camera = Filming(camera, self._meter, self.ring, self._set_format)
        self._filming = Keeper(self._camera, self._report_camera, self._wipe, alive, patience_ns)
        self._listening = None
        if microphone is not None:
            listening = Listening(microphone, self.ring)
            self._listening = Keeper(listening, self._report_microphone, self._wipe, patience_ns=patience_ns)
        self._sound_expected = settings.sound.asked_for
        label = Label(settings.device.name, settings.video.rotation, settings.sound.offset_ms)
        keep_days = 0 if settings.stick.delete_after_export else settings.store.keep_exported_days
        room = Room(self.catalogue, settings.store.when_full, timedelta(days=keep_days))
        writer = MomentWriter(self.catalogue, room, board, label, self._restarts, self._wait_decided)
        post_roll_bytes = round(settings.moment.after_s * size.bytes_per_s)
        one_moment = round(size.max_bytes / BYTES_MARGIN) + post_roll_bytes
        self._saver = Saver(
            writer, self.catalogue, room, one_moment, self.health, self._kept, self._done, self._forgotten
        )
        self._format = VideoFormat(settings.video.width, settings.video.height, settings.video.fps)
        self._problems = loaded.problems
        self._presses = Presses(settings.moment, self.ring, self._saver, size, post_roll_bytes, self._captured)
        self._sticks = Sticks()
        self._backlog_limit_ns = round(backlog_rings * size.seconds * NS)
        self._changed = threading.Condition()
        self._stopped = False
        self._settled = threading.Event()
        self._clerk = threading.Thread(target=self._keep_time, name="clerk", daemon=True)

    def start(self) -> None:
        """Film. What is wrong with settings or store is a fault, and no reason not to, unless it hides a switch."""
        if self._problems:
            self.health.report(Fault.SETTINGS, "\n".join(self._problems))
        self._ladder.begin()
        self._look_for_exposure()  # before the first picture
        if not self._allowed:
            self._arm()
        for keeper in self._keepers():
            keeper.start()
        self._saver.start()
        self._clerk.start()

    def wait_settled(self, timeout_s: float) -> bool:
        """Wait until it films, or it is known why it does not; False when time is up."""
        return self._settled.wait(timeout_s)

    def press(self, *, down: bool = False) -> int:
        """Keep the last minute; returns the time of the press. Never waits for a disk.

        While the button is `down`, the press may become a hold: the minute is taken, and written after `release`.
        Raises StoreError where RAM is full of moments that the disk has not taken.
        """
        with self._changed:
            if self._stopped:
                raise StoreError("the recorder is ending: nothing more can be kept until it is started again")
            now_ns = clock.monotonic_ns()
            if self._presses.backlog_ns(now_ns) > self._backlog_limit_ns:
                message = "RAM is full of moments that the disk does not take: nothing more can be kept until it does"
                self.health.report(Fault.SAVE_FAILED, message)
                raise StoreError(message)
            self._presses.press(now_ns, down)
            self._show(language.choose(self._situation()))
            self._changed.notify_all()
            return now_ns

    def release(self, pressed_ns: int) -> None:
        """The button that went down at `pressed_ns` was released before that became a hold: the press counts."""
        with self._changed:
            self._presses.release(pressed_ns)
            self._changed.notify_all()

    def forget(self, held_since_ns: int | None = None) -> threading.Event:
        """Forget the last minute, and each moment that was not finished yet; other moments stay.

        So does one that was kept and that the disk did not let us finish: it is finished when it can be.

        Not finished when the button went down, if a press at `held_since_ns` became a hold. What was never written
        is gone at once. The LED shows it when all is gone, and what is returned is set then.
        """
        with self._changed:
            orders = self._presses.forget(clock.monotonic_ns(), held_since_ns)
            gone = threading.Event()
            if orders:
                gone = self._saver.forget(orders)
            else:
                gone.set()
                self._forgotten()
            self._show(language.choose(self._situation()))
            self._changed.notify_all()
            return gone

    def delete(self, sequence: int) -> None:
        """Delete a kept moment for good; waits for the disk. Raises StoreError if there is none, or the disk fails."""
        self.catalogue.delete(sequence)
        self._saver.look()

    def switch(self, on: bool) -> None:
        """Film and listen, or do not. Off, the last minute is gone as well, and what comes until all has stopped."""
        self._switched_on = on
        self._arm()

    def stick(self, name: str, stick: Stick, trouble: str = "", copied: float = 0.0, began_ns: int = 0) -> None:
        """An exporter, begun at `began_ns`, tells how far the stick called `name` is, and what went wrong with it."""
        with self._changed:
            news = self._sticks.tell(name, stick, trouble, clock.monotonic_ns(), copied, began_ns)
            self._changed.notify_all()
        if news:
            self._saver.look()

    def hear_of_time(self, at: datetime) -> None:
        """Files on a stick say that it is `at`, at least. Where nothing better is known, that is believed."""
        if self.settings.stick.tells_time and clock.take_forward(at):
            self._saver.look()

    def status(self) -> Status:
        """Describe the recorder now."""
        ring = self.ring.state()
        with self._changed:
            situation = self._situation()
            saving = situation.saving or bool(self._saver.orders())
        return Status(
            state="saving" if saving else situation.camera,
            led=language.choose(situation).name,
            camera=self._camera.name,
            sound=self._sound(),
            video=f"{self._format.width}x{self._format.height} at {self._format.fps:g} fps",
            ring=RingStatus(seconds=round(ring.seconds, 1), bytes=ring.size, pictures=ring.pictures),
            frames=self._frames(ring.unusable),
            store=self._saver.stored,
            stick=situation.stick.value,
            copied=round(situation.copied, 2),
            faults={fault.name.lower(): message for fault, message in self.health.faults().items()},
            history=tuple(noted_fault(noted) for noted in self.health.history()),
            restarts=self._restarts(),
            temperature_c=self._board.temperature_c(),
            power=power_status(self._board),
            versions=versions(),
        )

    def wait_saved(self, timeout_s: float) -> bool:
        """Wait until everything that was pressed for is in the store, or has failed; False when time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._presses.unwritten or self._saver.orders()), timeout_s)

    def stop(self, timeout_s: float = 30.0) -> bool:
        """End: what was pressed for is finished first. False where the disk did not let us in `timeout_s`."""
        self._wait_decided()
        with self._changed:
            self._presses.decide()
            self._presses.end(clock.monotonic_ns())
            self._stopped = True
            self._changed.notify_all()
        self._clerk.join()
        self._ladder.ended()
        for keeper in self._keepers():
            keeper.stop(timeout_s)
        for order in self._saver.orders():
            self.ring.cut(order.take)
        finished = self._saver.stop(timeout_s)
        self._show(language.OFF)
        return finished

    def _keepers(self) -> list[Keeper]:
        return [self._filming, *([self._listening] if self._listening else [])]

    def _arm(self) -> None:
        with self._changed:  # the one who comes last sees all reasons, and switches last
            on = self._allowed and self._switched_on and not self._exposed
            if not on:
                self._wipe()
                self._settled.set()
            for keeper in self._keepers():
                keeper.switch(on)

    def _look_for_exposure(self) -> None:
        complaint = self._exposure()
        self._report(Fault.EXPOSED, complaint)
        if bool(complaint) is not self._exposed:
            self._exposed = bool(complaint)
            self._arm()

    def _set_format(self, video: VideoFormat) -> None:
        self._format = video

    def _wipe(self) -> None:
        with self._changed:
            self._presses.wipe(clock.monotonic_ns())

    def _wait_decided(self) -> None:
        """Return when no button is down that may still withdraw something."""
        with self._changed:
            self._changed.wait_for(lambda: not self._presses.undecided, self._presses.undecided_s)

    def _keep_time(self) -> None:
        """End windows and takes when their time has come, and look at what nobody reports by itself."""
        while not self._stopped:
            with self._changed:
                now_ns = clock.monotonic_ns()
                self.ring.age(now_ns)
                self._presses.tick(now_ns)
                self._changed.notify_all()  # a press may have been decided
                self._sticks.tick(now_ns)
                if self._presses.backlog_ns(now_ns) > self._backlog_limit_ns:
                    self._presses.end(now_ns)
                self._show(language.choose(self._situation()))
                trouble = self._sticks.trouble
                due = [now_ns + _HOUSEKEEPING_NS, *self._presses.due_ns()]
                self._changed.wait(max(0.0, (min(due) - now_ns) / NS))
            self._saver.report_stall(now_ns)
            self._report(Fault.STICK, trouble)
            self._report(Fault.HOT, self._board.complaint())
            self._look_for_exposure()
            self._climb(now_ns)

    def _climb(self, now_ns: int) -> None:
        """A camera that is there and films nothing: do more about it, once what was pressed for is kept."""
        if self._saving():
            return
        comes, since_ns = self._filming.delivery
        for_ns = 0 if since_ns is None else now_ns - since_ns
        step = self._ladder.look(0 if comes else for_ns, for_ns if comes else 0, now_ns / NS)
        with self._changed:  # no press may come between the last look and the end
            if step is not Step.NOTHING and not self._saving():
                self._give_up(step)

    def _saving(self) -> bool:
        """Whether someone waits for an answer: a button is down, or something is being kept or forgotten."""
        return self._presses.undecided or self._saver.forgets or any(not order.kept for order in self._saver.orders())

    def _frames(self, unusable: int) -> FrameStatus:
        first_ns = self._meter.first_arrival_ns
        first_s = None if first_ns is None else round(first_ns / NS, 1)
        return FrameStatus(seen=self._meter.seen, lost=self._meter.lost, unusable=unusable, first_s=first_s)

    def _restarts(self) -> Restarts:
        return self._ladder.restarts(self._filming.restarts)

    def _report(self, fault: Fault, complaint: str | None) -> None:
        if complaint:
            self.health.report(fault, complaint)
        else:
            self.health.clear(fault)

    def _report_camera(self, complaint: str | None) -> None:
        self._report(Fault.CAMERA, complaint)
        self._settled.set()

    def _report_microphone(self, complaint: str | None) -> None:
        """No microphone is a fault only where sound was asked for, or has been there."""
        self._sound_expected = self._sound_expected or self._sound() == "on"
        if self._sound_expected:
            self._report(Fault.MICROPHONE, complaint)

    def _sound(self) -> Literal["off", "silent", "on"]:
        if self._listening is None or not self._listening.wanted:
            return "off"
        return "on" if self._listening.delivery.comes else "silent"

    def _captured(self) -> tuple[VideoFormat, bool]:
        """Return the format of the frames, and whether there is sound."""
        return self._format, self._sound() == "on"

    def _situation(self) -> Situation:
        camera: Literal["off", "filling", "recording"] = "off"
        if self._meter.last_arrival_ns is not None and self._filming.may_deliver:
            full = self.ring.state().seconds >= self.settings.moment.before_s
            camera = "recording" if full else "filling"
        return Situation(camera, self._saving(), self._sticks.state, self._sticks.copied, tuple(self.health.faults()))

    def _kept(self, order: Order) -> None:
        with self._changed:
            if order.withdrawn:
                return
            self._show(language.choose(self._situation()))
            self._show(language.KEPT)

    def _done(self, order: Order) -> None:
        with self._changed:
            self._presses.done(order, clock.monotonic_ns())
            self._changed.notify_all()

    def _forgotten(self) -> None:
        with self._changed:
            self._show(language.choose(self._situation()))
            self._show(language.FORGOTTEN)
            self._changed.notify_all()
