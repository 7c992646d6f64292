"""There are other users on the computer."""

import pytest

from machines.guest import CommandFailed
from machines.virtual_device import VirtualDevice
from stories.filling import keep_a_moment

_AS_A_STRANGER = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
_AS_AN_OPERATOR = ("setpriv", "--reuid=nobody", "--regid=missed-moment", "--clear-groups")
_ONTO_A_STICK = 'install -d -m 777 "$1" && shift && exec "$@"'
_TARGET = "/run/virtual-board/copies"


@pytest.mark.parametrize(
    "command",
    [
        ("ls", "/data/clips"),
        ("missed-moment", "press"),
        ("missed-moment", "forget"),
        ("missed-moment", "status"),
        ("missed-moment", "export", "/tmp"),  # noqa: S108
        ("cat", "/run/missed-moment/control.sock"),
    ],
    ids=" ".join,
)
def test_a_stranger_is_refused(command: tuple[str, ...], device: VirtualDevice) -> None:
    """They see no moment, and nobody listens to them."""
    with pytest.raises(CommandFailed, match=r"Permission denied|no recorder answers|not readable"):
        device.run(*_AS_A_STRANGER, *command)


def test_an_operator_copies(device: VirtualDevice) -> None:
    """What they have copied is noted: it need not be copied again."""
    keep_a_moment(device)
    export = (*_AS_AN_OPERATOR, "missed-moment", "export", _TARGET)
    copied = device.run("sh", "-euc", _ONTO_A_STICK, "sh", _TARGET, *export)
    assert copied.startswith(f"{len(device.moments())} copied and verified")
    assert all(moment["exported"] for moment in device.moments())
    device.run("rm", "-r", _TARGET)
