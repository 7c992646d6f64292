"""A recorder as a program, whose camera and microphone are unplugged as soon as a file appears.

Usage: python -m unplugging STORE SOCKET SETTINGS FILE
"""

import sys
import threading
from pathlib import Path
from unittest import mock

from missed_moment import config, memory_budget
from missed_moment.capture.choice import CameraChooser
from missed_moment.places import Places
from missed_moment.services import keeper, program
from rig import UnpluggableCamera, UnpluggableMicrophone, wait_for


def main(store: Path, socket: Path, settings: Path, unplug: Path) -> None:
    camera, microphone = UnpluggableCamera(config.load(settings).settings.video), UnpluggableMicrophone()

    def watch() -> None:
        wait_for(unplug.exists, 250)
        camera.unplug()
        microphone.unplug()

    threading.Thread(target=watch, daemon=True).start()
    with (
        mock.patch.object(memory_budget, "RING_MARGIN_S", 1),
        mock.patch.object(keeper, "_BACK_OFF_S", (0.5,)),
        mock.patch.object(program, "choose_camera", return_value=CameraChooser.of(camera)),
        mock.patch.object(program, "choose_microphone", return_value=microphone),
    ):
        program.run(Places(settings=settings, store=store, socket=socket), "synthetic")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
