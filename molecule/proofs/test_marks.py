"""Minutes without a press, and what was forgotten, with frames and sounds that can be searched for."""

import base64
import os
import threading
from collections.abc import Iterator

import pytest

from machines.virtual_device import VirtualDevice
from machines.write_log import entries
from missed_moment.capture import synthetic, synthetic_microphone

MINUTES = float(os.environ.get("MISSED_MOMENT_UNPRESSED_MINUTES", "10"))
MARKS = (synthetic.MARK, synthetic_microphone.MARK)
_DATA = {"vda3"}
# In place of the webcam: what it films carries a mark in each packet, what it hears one in each block of silence.
_FILM_WITH_MARKS = """
mkdir -p /run/systemd/system/missed-moment.service.d
printf '[Service]\\nExecStart=\\nExecStart=/usr/local/bin/missed-moment run --camera synthetic\\n%s\\n' "$1" \\
    >/run/systemd/system/missed-moment.service.d/marks.conf
systemctl daemon-reload
systemctl restart missed-moment.service
"""
_SWAP = """
fallocate -l 256M /data/swap && chmod 600 /data/swap && mkswap /data/swap && swapon /data/swap
echo 300M >/sys/fs/cgroup/system.slice/missed-moment.service/memory.reclaim || true
"""


@pytest.fixture
def marking() -> Iterator[VirtualDevice]:
    """A device each of whose writes is logged."""
    with VirtualDevice(log_writes=True) as device:
        yield device


def film(device: VirtualDevice, less: str = "") -> None:
    """Have it film marks, with `less` of its protection."""
    device.run("sh", "-euc", _FILM_WITH_MARKS, "sh", less)
    device.until_it_records(180)
    assert device.status()["camera"] == "synthetic"


@pytest.mark.timeout(3600)
def test_what_nobody_asked_for_is_nowhere(marking: VirtualDevice) -> None:
    """No mark was ever written to the card, nor is one in the journal; after a press, one is where moments are."""
    film(marking)
    threading.Event().wait(60 * MINUTES)
    assert [marking.found_on_card(mark) for mark in MARKS] == [set(), set()]
    journal = base64.b64decode(marking.run("sh", "-c", "journalctl --boot --output=export | base64"))
    assert b"_SYSTEMD_UNIT=missed-moment.service" in journal, "the journal could not be read"
    assert not any(mark in journal for mark in MARKS)

    marking.press()
    marking.wait_until(marking.moments, 60, "the moment is whole")
    marking.run("sync")
    assert marking.found_on_card(synthetic.MARK) == _DATA
    assert marking.found_on_card(synthetic_microphone.MARK) == set()  # sound is kept as AAC


@pytest.mark.timeout(3600)
def test_press_and_hold_writes_no_mark(marking: VirtualDevice) -> None:
    """Not even for the seconds between the press and the end of the hold: what is overwritten is found as well."""
    film(marking)
    began = marking.now()
    for times in range(1, 4):
        held = marking.hold()
        marking.wait_for_led("recording", held, 180)
        assert marking.led_names(held).count("forgotten") == 1, times
    marking.run("sync")
    assert [marking.found_on_card(mark) for mark in MARKS] == [set(), set()]
    assert "kept" not in marking.led_names(began)
    assert marking.moments() == []

    marking.press()
    marking.wait_until(marking.moments, 120, "a short press is kept")
    marking.run("sync")
    assert marking.found_on_card(synthetic.MARK) == _DATA


@pytest.mark.timeout(3600)
def test_a_hold_within_a_moment_leaves_no_mark_on_the_raw_card(marking: VirtualDevice) -> None:
    """An earlier press has written it: when the LED shows forgotten, no block of the card holds it any more.

    Neither then nor later, so no power cut brings it back.
    """
    film(marking)
    held = marking.press_and_hold()
    marking.wait_until(lambda: "forgotten" in marking.led_names(held), 120, "the LED shows forgotten")
    gone_at = entries(marking.writes)
    assert marking.found_on_card(synthetic.MARK) == _DATA, "it was on the card"
    marking.until_it_records(180)
    marking.run("sync")
    assert not marking.left_on_card(synthetic.MARK, gone_at)
    names = marking.led_names(held)
    assert "kept" not in names[names.index("forgotten") :]
    marking.reboot()
    marking.until_it_records(180)
    assert marking.moments() == []
    assert not marking.left_on_card(synthetic.MARK)


@pytest.mark.timeout(3600)
def test_a_deleted_moment_leaves_no_mark_on_the_raw_card_and_one_that_is_only_unlinked_does(
    marking: VirtualDevice,
) -> None:
    """The search of the raw card finds what no file holds any more."""
    film(marking)
    marking.press()
    marking.wait_until(marking.moments, 120, "the moment is whole")
    marking.run("missed-moment", "delete", "1", timeout_s=300)
    assert marking.moments() == []
    marking.run("sync")
    assert marking.found_on_card(synthetic.MARK) == _DATA, "it was on the card"
    assert not marking.left_on_card(synthetic.MARK)

    marking.until_it_records(180)
    marking.press()
    marking.wait_until(marking.moments, 120, "another moment is whole")
    marking.run("sh", "-c", "rm -r /data/clips/moment-*; sync")
    assert marking.left_on_card(synthetic.MARK)


def test_swap_would_be_found(marking: VirtualDevice) -> None:
    """With memory neither locked nor kept from swap, and swap on the card, the search finds what is there."""
    film(marking, less="LimitMEMLOCK=0\nMemorySwapMax=infinity")
    marking.run("sh", "-euc", _SWAP)
    marking.wait_until(lambda: marking.found_on_card(synthetic.MARK) == _DATA, 60, "a mark is on the card")
