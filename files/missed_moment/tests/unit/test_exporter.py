"""The exporter with a stick that a folder stands for: what is told when, whatever happens."""

import errno
import os
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from missed_moment.cli import cli
from missed_moment.clips.catalogue import Catalogue
from missed_moment.control import ControlServer
from missed_moment.durable import LocalDisk
from missed_moment.errors import StickError, SystemDiskError
from missed_moment.export.admission import Interface, Volume, choose
from missed_moment.export.handover import FOLDER
from missed_moment.export.pulled import Pulled
from missed_moment.panel.language import Stick
from missed_moment.services import exporter
from missed_moment.services.exporter import PULLED_EARLY, serve
from missed_moment.services.teller import Teller
from rig import store_moment, wait_for

ACCEPTED = ("vfat",)
VOLUME = Volume(Path("/dev/sda1"), 10**9, "vfat")
OTHER = Volume(Path("/dev/sda2"), 10**10, "ntfs")
STORAGE, KEYBOARD = Interface("08", "06", "50"), Interface("03", "01", "01")


@dataclass
class FolderStick:
    """A folder that is plugged in as a stick. `events` is what happened to it, and what was told, in order."""

    folder: Path
    is_a: tuple[Interface, ...] = (STORAGE,)
    name: str = "1-1"
    refusal: Exception | None = None
    pull_at: str = "done"
    hesitation_s: float = 0
    gone: bool = False
    events: list[str] = field(default_factory=list)
    copied: list[float] = field(default_factory=list)
    mounted: Volume | None = None
    pulled: Pulled = field(default_factory=Pulled)

    def interfaces(self) -> tuple[Interface, ...]:
        return self.is_a

    def volume(self, accepted: Collection[str]) -> Volume:
        if self.refusal:
            raise self.refusal
        return choose([VOLUME, OTHER], accepted)

    def switch_off(self) -> None:
        self._happens("switched off")

    def first(self, volume: Volume, pulled: Pulled) -> AbstractContextManager[Path]:
        assert pulled is self.pulled
        return self.mount(volume, "mounted")

    def again(self, volume: Volume) -> AbstractContextManager[Path]:
        return self.mount(volume, "again")

    @contextmanager
    def mount(self, volume: Volume, event: str = "mounted") -> Iterator[Path]:
        self.mounted = volume
        try:
            self._happens(event)
            yield self.folder
        finally:
            self._happens("unmounted")

    def tell(self, stick: Stick, trouble: str = "", copied: float = 0.0) -> None:
        self.copied.append(copied)
        if copied:
            return
        self._happens(" ".join(filter(None, [stick.value, trouble])))

    def _happens(self, event: str) -> None:
        self.events.append(event)
        if event.split(maxsplit=1)[0] == self.pull_at:
            self.pull_at = ""
            if self.hesitation_s:
                threading.Timer(self.hesitation_s, self.pulled.set).start()
            else:
                self.pulled.set()


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    for _ in range(2):
        store_moment(tmp_path / "clips", seconds=1)
    return Catalogue(tmp_path / "clips", LocalDisk())


@pytest.fixture
def stick(tmp_path: Path) -> FolderStick:
    folder = tmp_path / "stick"
    folder.mkdir()
    return FolderStick(folder)


def run(stick: FolderStick, catalogue: Catalogue) -> list[str]:
    assert serve(lambda: stick, catalogue, ACCEPTED, stick.tell, stick.pulled, access=stick)
    return stick.events


def exported(catalogue: Catalogue) -> int:
    return sum(moment.exported is not None for moment in catalogue.moments())


def test_safe_to_pull_is_said_after_unmount_and_power_off(stick: FolderStick, catalogue: Catalogue) -> None:
    assert run(stick, catalogue) == [
        *("copying", "mounted", "unmounted"),
        *("again", "unmounted"),  # what is on the stick now is what was verified
        *("switched off", "done", "none"),
    ]
    assert stick.mounted is VOLUME
    assert exported(catalogue) == 2
    assert len(list((stick.folder / FOLDER).glob("*.mp4"))) == 2
    assert [*filter(None, stick.copied)] == pytest.approx([0.5, 1.0], abs=0.05)


@pytest.mark.parametrize("moment", ["copying", "mounted", "unmounted", "again"])
def test_pulled_early_is_said_until_the_next_stick(moment: str, stick: FolderStick, catalogue: Catalogue) -> None:
    stick.pull_at = moment
    assert run(stick, catalogue)[-1] == f"none {PULLED_EARLY}"
    assert "done" not in stick.events
    assert sum(event in {"mounted", "again"} for event in stick.events) == stick.events.count("unmounted")
    assert exported(catalogue) == 0


def test_pulled_after_all_is_there_is_no_trouble(stick: FolderStick, catalogue: Catalogue) -> None:
    stick.pull_at = "switched"
    assert run(stick, catalogue)[-2:] == ["switched off", "none"]
    assert exported(catalogue) == 2


def test_what_has_changed_when_it_is_mounted_again_is_not_trusted(
    stick: FolderStick, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stick shows before it is unmounted may be what the kernel remembers."""
    monkeypatch.setattr(exporter, "NOTICED_S", 0.01)

    def again(volume: Volume) -> AbstractContextManager[Path]:
        (stick.folder / FOLDER / "moment-000001.mp4").write_bytes(b"something else")
        return stick.mount(volume, "again")

    monkeypatch.setattr(stick, "again", again)
    stick.pull_at, stick.hesitation_s = "failed", 0.2
    failed = next(event for event in run(stick, catalogue) if event.startswith("failed"))
    assert "do not trust this stick" in failed
    assert "moment-000001" in failed
    assert exported(catalogue) == 0


def test_a_moment_that_is_finished_while_copies_are_read_again_is_copied_too(
    stick: FolderStick, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, left = stick.again, [2]

    def pressed_meanwhile(volume: Volume) -> AbstractContextManager[Path]:
        left[0] -= 1
        if left[0] >= 0:
            store_moment(catalogue.root, seconds=1)
        return again(volume)

    monkeypatch.setattr(stick, "again", pressed_meanwhile)
    assert run(stick, catalogue) == [
        *("copying", "mounted", "unmounted"),
        *("again", "unmounted") * 3,  # what was copied last is confirmed as well
        *("switched off", "done", "none"),
    ]
    assert exported(catalogue) == len(catalogue.moments()) == 4


def test_a_stick_that_has_everything_is_mounted_once(stick: FolderStick, catalogue: Catalogue) -> None:
    run(stick, catalogue)
    stick.events.clear()
    stick.pull_at, stick.pulled = "done", Pulled()
    assert run(stick, catalogue) == ["copying", "mounted", "unmounted", "switched off", "done", "none"]


@pytest.mark.parametrize("step", ["volume", "switch_off", "first", "again"])
def test_an_error_that_nobody_expected_is_told_too(
    step: str,
    stick: FolderStick,
    catalogue: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(stick, step, fail)
    stick.pull_at = "failed"
    assert not serve(lambda: stick, catalogue, ACCEPTED, stick.tell, stick.pulled, access=stick)
    told = "failed the export failed by an error of its own (ZeroDivisionError)"
    assert any(event.startswith(told) for event in stick.events)
    assert stick.events[-1].startswith("none")
    assert "Traceback" in caplog.text


def test_a_library_that_is_missing_is_told_too(
    stick: FolderStick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: Path) -> None:
        raise ImportError("libudev")

    told: list[str] = []
    monkeypatch.setattr("missed_moment.services.teller.Teller.tell", lambda _, state, *more: told.append(state.value))
    with pytest.raises(SystemExit):
        export_stick(stick, tmp_path, monkeypatch, see=missing)
    assert told == ["failed", "none"]


def test_a_bug_ends_the_program_with_a_code_of_its_own(
    stick: FolderStick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick.refusal = ZeroDivisionError("a bug")
    with pytest.raises(SystemExit) as ended:
        export_stick(stick, tmp_path, monkeypatch)
    assert ended.value.code == os.EX_SOFTWARE


def test_the_exporter_ends_although_the_stick_never_answers(tmp_path: Path) -> None:
    """A write to a stick that is gone may block for ever; the recorder is told all the same."""
    blocked = (
        "import os, signal, sys, threading\n"
        "from missed_moment.services.signals import pulled_by_signal\n"
        "with pulled_by_signal(lambda: print('told'), 0.1) as pulled:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    pulled.wait()\n"
        "    sys.stdout.flush()\n"
        "    threading.Event().wait()\n"
    )
    command = [sys.executable, "-u", "-c", blocked]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.returncode) == ("told\n", os.EX_TEMPFAIL)


def test_what_could_not_be_copied_is_said_even_after_the_stick_is_out(
    stick: FolderStick, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> int:
        return 0

    monkeypatch.setattr("missed_moment.export.directory.Directory.free", full)
    monkeypatch.setattr(exporter, "NOTICED_S", 0.01)
    stick.pull_at, stick.hesitation_s = "failed", 0.2
    *_, switched_off, failed, gone = run(stick, catalogue)
    assert switched_off == "switched off"
    assert "failed moment-000001: the stick is full" in failed
    assert gone == failed.replace("failed", "none", 1)


def test_a_stick_that_is_refused_is_no_concern_once_it_is_out(stick: FolderStick, catalogue: Catalogue) -> None:
    stick.refusal, stick.pull_at = StickError("no file system"), "failed"
    assert run(stick, catalogue) == ["failed no file system", "none"]


def test_a_keyboard_that_is_a_stick_too_is_refused(stick: FolderStick, catalogue: Catalogue) -> None:
    stick.is_a, stick.pull_at = (STORAGE, KEYBOARD), "failed"
    refused, gone = run(stick, catalogue)
    assert "080650:030101" in refused
    assert gone == "none"


def test_a_write_protected_stick_is_refused_and_unmounted(
    stick: FolderStick, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "NOTICED_S", 0.01)
    (stick.folder / FOLDER).write_text("not a directory")
    stick.pull_at, stick.hesitation_s = "failed", 0.2
    copying, mounted, unmounted, failed, gone = run(stick, catalogue)
    assert (copying, mounted, unmounted, gone) == ("copying", "mounted", "unmounted", "none")
    assert "cannot be used as a directory" in failed


def test_a_stick_that_fails_because_it_was_pulled_was_pulled_early(stick: FolderStick, catalogue: Catalogue) -> None:
    (stick.folder / FOLDER).write_text("not a directory")  # stands for whatever a missing stick answers
    stick.pull_at, stick.hesitation_s = "failed", 0.2
    *_, failed, gone = run(stick, catalogue)
    assert failed.startswith("failed")
    assert gone == f"none {PULLED_EARLY}"


def test_a_stick_that_is_gone_was_pulled_early_however_late_the_signal_comes(
    stick: FolderStick, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy board systemd's SIGTERM takes longer than anybody needs to pull a stick."""
    monkeypatch.setattr(exporter, "NOTICED_S", 0.01)
    (stick.folder / FOLDER).write_text("not a directory")
    stick.pull_at, stick.gone = "", True
    assert run(stick, catalogue)[-1] == f"none {PULLED_EARLY}"


def test_a_stick_that_is_pulled_while_it_is_written_was_pulled_early_however_late_the_signal_comes(
    stick: FolderStick, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its errors are in the report then, and it cannot be switched off."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def gone() -> None:
        stick.gone = True
        raise StickError("1-1 cannot be switched off")

    monkeypatch.setattr("missed_moment.export.directory.Directory.write", fail)
    monkeypatch.setattr(exporter, "NOTICED_S", 0.01)
    monkeypatch.setattr(stick, "switch_off", gone)
    stick.pull_at = ""
    assert run(stick, catalogue)[-1] == f"none {PULLED_EARLY}"


def test_the_systems_own_disk_is_nobodys_business(stick: FolderStick, catalogue: Catalogue) -> None:
    stick.refusal = SystemDiskError("in use")
    assert run(stick, catalogue) == []


def test_a_stick_that_something_else_uses_by_now_is_not_shown_as_safe_to_pull(
    stick: FolderStick, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken() -> None:
        raise SystemDiskError("1-1 came into use")

    monkeypatch.setattr(stick, "switch_off", taken)
    assert run(stick, catalogue) == [
        *("copying", "mounted", "unmounted", "again", "unmounted"),
        "none 1-1 came into use",
    ]
    assert exported(catalogue) == 2


@pytest.mark.setting("stick.filesystems")
@pytest.mark.parametrize(
    ("written", "chosen"),
    [
        ("", VOLUME),
        ('[stick]\nfilesystems = ["ntfs"]\n', OTHER),
        ('[stick]\nfilesystems = ["ntfs", "vfat"]\n', OTHER),
        ('[stick]\nfilesystems = ["ext4"]\n', None),
    ],
)
def test_a_file_system_is_used_where_the_settings_say_so(
    written: str, chosen: Volume | None, stick: FolderStick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.toml").write_text(written)
    export_stick(stick, tmp_path, monkeypatch)
    assert stick.mounted is chosen


def test_a_device_may_be_named_by_its_number(
    stick: FolderStick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As /sys/dev/char/189:6, a link, which is gone with the device: it is not resolved for what is written later."""
    (tmp_path / "usb1" / "1-1").mkdir(parents=True)
    (tmp_path / "189:6").symlink_to(tmp_path / "usb1" / "1-1")
    seen: list[Path] = []
    export_stick(stick, tmp_path, monkeypatch, tmp_path / "189:6", seen.append)
    assert seen == [tmp_path / "189:6"]


def export_stick(
    stick: FolderStick,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: Path = Path("1-1"),
    see: Callable[[Path], None] = lambda _: None,
) -> None:
    """Run the command for a stick that is pulled as soon as it is waited for."""

    @contextmanager
    def pulled_by_signal(_: object) -> Iterator[Pulled]:
        yield stick.pulled

    def wait(_: float | None = None) -> bool:
        return True

    monkeypatch.setattr(stick.pulled, "wait", wait)
    monkeypatch.setattr("missed_moment.services.signals.pulled_by_signal", pulled_by_signal)

    def usb_device(path: Path, *_: object) -> FolderStick:
        see(path)
        return stick

    monkeypatch.setitem(sys.modules, "missed_moment.export.usb", types.SimpleNamespace(UsbDevice=usb_device))
    monkeypatch.setattr(exporter.filesystem, "check", lambda *_: frozenset())
    monkeypatch.setattr(exporter.filesystem, "mounted", stick.mount)
    arguments = ["export-stick", device, "--config", tmp_path / "settings.toml", "--store", tmp_path / "clips"]
    cli([*map(str, arguments), "--socket", str(tmp_path / "s")], standalone_mode=False)


def test_the_recorder_is_told_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("missed_moment.services.teller._REPEAT_S", 0.05)
    told: list[tuple[object, ...]] = []
    server = ControlServer(
        tmp_path / "s", {"stick": lambda request: told.append((request["name"], request["stick"])) or {}}
    )
    teller = Teller(tmp_path / "s", "1-1")
    teller.tell(Stick.COPYING)  # nobody listens yet
    server.start()
    wait_for(lambda: told.count(("1-1", "copying")) >= 3)
    teller.tell(Stick.NONE)
    teller.close()
    server.stop()
    assert told[-1] == ("1-1", "none")


def test_what_was_told_last_is_heard_before_the_teller_goes(tmp_path: Path) -> None:
    told: list[object] = []
    server = ControlServer(tmp_path / "s", {"stick": lambda request: told.append(request["trouble"]) or {}})
    server.start()
    teller = Teller(tmp_path / "s", "1-1")
    teller.tell(Stick.COPYING)
    teller.tell(Stick.NONE, os.strerror(errno.EIO))
    teller.close()
    server.stop()
    assert told[-1] == os.strerror(errno.EIO)
