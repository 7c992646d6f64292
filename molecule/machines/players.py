"""Programs that people watch clips with, as Debian has them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from imaging.debian_root import DebianRoot

PLAYERS = DebianRoot(
    name="players",
    suite="trixie",
    packages=(
        "ffmpeg",
        "gstreamer1.0-libav",
        "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-good",
        "gstreamer1.0-tools",
    ),
)
"""FFmpeg's player and GStreamer's, without a screen and a loudspeaker: they play to nobody, in real time."""

_INSIDE = "/clip.mp4"
_COMMANDS = {
    "ffplay": ("ffplay", "-hide_banner", "-loglevel", "warning", "-autoexit", "-nostats", _INSIDE),
    "ffmpeg": ("ffmpeg", "-hide_banner", "-loglevel", "warning", "-xerror", "-i", _INSIDE, "-f", "null", "-"),
    "gstreamer": (
        *("gst-launch-1.0", "--quiet", "playbin", f"uri=file://{_INSIDE}"),
        *("video-sink=fakesink sync=true", "audio-sink=fakesink sync=true"),
    ),
}
_SILENT = {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "GST_DEBUG": "2", "GST_DEBUG_NO_COLOR": "1"}
_ABOUT_THE_SCREEN = "hardware accelerated renderer"
"""There is none: that is no fault of the clip."""
_PATIENCE_S = 120.0


def complaints(clip: Path) -> Iterator[tuple[str, str]]:
    """Play a clip with each; yield who did, and what it complained of. Raises CalledProcessError where one fails."""
    for player, command in _COMMANDS.items():
        played = PLAYERS.run(
            command, binds={clip: _INSIDE}, env=_SILENT, check=False, capture=True, timeout=_PATIENCE_S
        )
        lines = (played.stdout + played.stderr).strip().splitlines()
        said = "\n".join(line for line in lines if _ABOUT_THE_SCREEN not in line)
        if played.returncode:
            raise subprocess.CalledProcessError(played.returncode, command, said)
        yield player, said
