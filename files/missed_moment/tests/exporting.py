"""The exporter as a process of its own, with a loop device as its stick; see `unit/test_signals.py`.

Once all is imported it stops, traced by whoever started it. Arguments: the loop device, its size, and the store.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from missed_moment.clips.catalogue import Catalogue
from missed_moment.durable import LocalDisk
from missed_moment.export.admission import Interface, Volume
from missed_moment.panel.language import Stick
from missed_moment.services.exporter import serve
from missed_moment.services.signals import pulled_by_signal

_PTRACE_TRACEME = 0


class LoopStick:
    """A loop device that is plugged in as a stick."""

    name = "1-1"
    gone = False

    def __init__(self, node: Path, size: int) -> None:
        self._volume = Volume(node, size, "ext4")

    def interfaces(self) -> list[Interface]:
        return [Interface("08", "06", "50")]

    def volume(self, _: object) -> Volume:
        return self._volume

    def switch_off(self) -> None:
        pass


def main(node: str, size: str, store: str) -> None:
    """Export, and pull the stick as soon as it is done or has failed."""
    ctypes.CDLL(None).ptrace(_PTRACE_TRACEME, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    with pulled_by_signal() as pulled:

        def tell(stick: Stick, trouble: str = "", copied: float = 0.0) -> None:
            if not copied:
                print(stick.value, trouble, flush=True)
            if stick in {Stick.DONE, Stick.FAILED}:
                pulled.set()

        serve(lambda: LoopStick(Path(node), int(size)), Catalogue(Path(store), LocalDisk()), ("ext4",), tell, pulled)


if __name__ == "__main__":
    main(*sys.argv[1:])
