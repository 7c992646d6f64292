"""What a board reports about heat, voltage and its power supply, whatever else is in its sysfs."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from missed_moment.board import COOL_C, HOT_C, UNDERVOLTAGE_HOLD_NS, Board, HeatAlarm, PowerSupply, VoltageAlarm
from missed_moment.clock import NS, WallTime
from missed_moment.ladder import Restarts
from missed_moment.services.health_text import health_text
from missed_moment.services.status import FrameStatus, PowerStatus, RingStatus, Status, StoreStatus, power_status
from missed_moment.tables import status_table


def device(sysfs: Path, folder: str, **files: str) -> Path:
    """Make a device's directory, as the kernel shows it."""
    directory = sysfs / "class" / folder
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_text(content + "\n")
    return directory


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """A Raspberry Pi 5 with an NVMe disk and a fan: what is asked for is not the first of its kind."""
    device(tmp_path, "thermal/thermal_zone0", type="nvme", temp="99000")
    device(tmp_path, "hwmon/hwmon0", name="cpu_thermal", temp1_input="55000")
    device(tmp_path, "hwmon/hwmon1", name="pwmfan")
    device(tmp_path, "hwmon/hwmon2", name="rp1_adc", in1_input="1478")
    return tmp_path


def test_a_computer_that_is_no_raspberry_pi_reports_nothing(tmp_path: Path, sysfs: Path) -> None:
    for board in (Board(tmp_path / "nowhere"), Board(sysfs)):
        assert board.temperature_c() is None
        assert board.undervoltage() is None
        assert board.power_supply() is None
        assert board.complaint() is None


def test_the_processor_is_found_by_its_name(sysfs: Path) -> None:
    board = Board(sysfs)
    device(sysfs, "thermal/thermal_zone1", type="cpu-thermal", temp="55012")
    assert board.temperature_c() == 55.012


def test_a_driver_may_come_late_and_under_another_number(sysfs: Path) -> None:
    board = Board(sysfs)
    assert board.undervoltage() is None
    first = device(sysfs, "hwmon/hwmon3", name="rpi_volt", in0_lcrit_alarm="0")
    assert board.undervoltage() is False
    for file in first.iterdir():
        file.unlink()
    device(sysfs, "hwmon/hwmon4", name="rpi_volt", in0_lcrit_alarm="1")
    assert board.undervoltage() is None
    assert board.undervoltage() is True


@pytest.mark.parametrize("content", ["", "x", "0x50005"])
def test_a_file_that_holds_no_number_is_no_reading(sysfs: Path, content: str) -> None:
    device(sysfs, "hwmon/hwmon3", name="rpi_volt", in0_lcrit_alarm=content)
    device(sysfs, "thermal/thermal_zone1", type="cpu-thermal", temp=content)
    assert Board(sysfs).undervoltage() is None
    assert Board(sysfs).temperature_c() is None


def test_the_firmwares_own_file_is_left_alone(sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    firmware = sysfs / "devices/platform/soc/soc:firmware"
    firmware.mkdir(parents=True)
    (firmware / "get_throttled").write_text("50005\n")
    read: list[str] = []
    text_of = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, *options: (read.append(path.name), text_of(path, *options))[1])
    board = Board(sysfs)
    assert board.undervoltage() is None
    assert board.complaint() is None
    assert "name" in read
    assert "get_throttled" not in read


def test_heat_is_one_fault_until_the_board_has_cooled_down() -> None:
    alarm = HeatAlarm()
    readings = [HOT_C - 0.1, HOT_C, HOT_C - 0.1, HOT_C, COOL_C, None, COOL_C - 0.1, COOL_C, HOT_C - 0.1, HOT_C]
    assert [alarm.update(reading) for reading in readings] == [False, True, True, True, True, True, *[False] * 3, True]


def test_under_voltage_stands_for_a_while_after_its_last_alarm() -> None:
    alarm = VoltageAlarm()
    assert not alarm.update(False, 0)
    assert alarm.update(True, NS)
    assert alarm.update(False, 2 * NS)
    assert alarm.update(True, 3 * NS)
    assert alarm.update(False, 3 * NS + UNDERVOLTAGE_HOLD_NS - 1)
    assert alarm.update(None, 3 * NS + UNDERVOLTAGE_HOLD_NS - 1)
    assert not alarm.update(False, 3 * NS + UNDERVOLTAGE_HOLD_NS)


def test_what_is_wrong_is_told_in_the_same_words_while_it_lasts(sysfs: Path) -> None:
    now_ns = [0]
    board = Board(sysfs, lambda: now_ns[0])
    told = []
    for second in range(60):
        now_ns[0] = second * NS
        device(sysfs, "thermal/thermal_zone1", type="cpu-thermal", temp=str(79_000 + 700 * (second % 5)))
        device(sysfs, "hwmon/hwmon3", name="rpi_volt", in0_lcrit_alarm=str(int(second >= 30 and second % 4 < 2)))
        told.append(board.complaint())
    words = [message for message, before in zip(told, [None, *told], strict=False) if message != before]
    assert len(words) == 2
    assert "give it air" in words[0]
    assert "give it air" in words[1]
    assert "too little voltage" in words[1]


def supply(sysfs: Path, **properties: int) -> Board:
    power = sysfs / "firmware/devicetree/base/chosen/power"
    power.mkdir(parents=True)
    for name, value in properties.items():
        (power / name).write_bytes(value.to_bytes(4, "big"))
    return Board(sysfs)


@pytest.mark.parametrize(
    ("properties", "expected", "text"),
    [
        (
            {"max_current": 3000, "usb_max_current_enable": 0},
            PowerSupply(3000, 600),
            "the power supply offers 3.0 A, all USB ports together get 600 mA; with a 5 A supply they get 1600 mA",
        ),
        (
            {"max_current": 5000, "usb_max_current_enable": 1},
            PowerSupply(5000, 1600),
            "the power supply offers 5.0 A, all USB ports together get 1600 mA",
        ),
        (
            {"max_current": 0, "usb_max_current_enable": 0},
            PowerSupply(None, 600),
            "all USB ports together get 600 mA; with a 5 A supply they get 1600 mA",
        ),
        ({"max_current": 3000}, PowerSupply(3000, None), "the power supply offers 3.0 A"),
        ({}, None, None),
    ],
)
def test_the_power_supply_is_told_in_plain_words(
    sysfs: Path, properties: dict[str, int], expected: PowerSupply | None, text: str | None
) -> None:
    board = supply(sysfs, **properties)
    assert board.power_supply() == expected
    assert power_status(board).text == text


def test_a_property_of_another_size_is_no_number(sysfs: Path) -> None:
    board = supply(sysfs)
    (sysfs / "firmware/devicetree/base/chosen/power/max_current").write_bytes(b"3000\0")
    assert board.power_supply() is None


@pytest.mark.parametrize(("low", "word"), [(True, "too little voltage"), (False, "voltage good"), (None, None)])
def test_power_is_in_the_status_and_in_health_txt(low: bool | None, word: str | None) -> None:
    power = PowerStatus(undervoltage=low, usb_ma=600 if low is not None else None)
    told = Status(
        state="recording",
        led="recording",
        camera="picamera2",
        video="1280x720 at 30 fps",
        sound="off",
        ring=RingStatus(seconds=60, bytes=1, pictures=1),
        frames=FrameStatus(seen=1, lost=0, unusable=0),
        store=StoreStatus(),
        stick="none",
        copied=0,
        faults={},
        history=(),
        restarts=Restarts(camera=0, recorder=0, board=0),
        temperature_c=None,
        power=power,
        versions={},
    )
    text = health_text("box", told, WallTime(datetime(2027, 1, 1, tzinfo=UTC), certain=True))
    table = status_table(told)
    rows = dict(zip(table.columns[0].cells, table.columns[1].cells, strict=True))
    assert ("power " in text) == ("power" in rows) == (word is not None)
    if word:
        for shown in (text, rows["power"]):
            assert word in shown
            assert "600 mA" in shown
