"""Faults with several parts: each is reported and cleared by itself."""

from missed_moment.health import Fault, Health


def test_parts_of_a_fault_stand_and_go_by_themselves() -> None:
    health = Health()
    health.report(Fault.SETTINGS, "[video] widht is not a setting")
    health.report(Fault.SETTINGS, "button and LED cannot be used", "panel")
    health.report(Fault.CAMERA, "no camera films")
    assert health.faults() == {
        Fault.CAMERA: "no camera films",
        Fault.SETTINGS: "[video] widht is not a setting\nbutton and LED cannot be used",
    }
    health.clear(Fault.SETTINGS, "panel")
    assert health.faults()[Fault.SETTINGS] == "[video] widht is not a setting"
    health.clear(Fault.SETTINGS)
    assert list(health.faults()) == [Fault.CAMERA]
    assert [noted.over for noted in health.history()] == [False, False, False, True, True]
