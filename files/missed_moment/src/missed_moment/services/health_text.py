"""`health.txt`: how the camera is, for whoever has the stick in a computer."""

from collections.abc import Iterator

from missed_moment.clock import WallTime
from missed_moment.services.status import Status


def health_text(device: str, status: Status | None, now: WallTime) -> str:
    """Describe a device; `status` is None where no recorder answers."""
    certain = "" if now.certain else ", by a clock that is not certain"
    lines = [f"{device}: {now.at:%Y-%m-%d %H:%M} UTC{certain}", ""]
    lines += _of(status) if status else ["no recorder answers: it has stopped, or is being started"]
    return "\n".join(lines) + "\n"


def _of(status: Status) -> Iterator[str]:
    yield f"recorder     {status.state}, with the {status.camera} camera ({status.video}), sound {status.sound}"
    yield f"pictures     {status.frames.seen} seen, {status.frames.lost} lost since the start"
    if status.temperature_c is not None:
        yield f"temperature  {status.temperature_c:.0f} °C"
    if power := status.power.text:
        yield f"power        {power}"
    restarts = status.restarts
    yield f"restarts     camera {restarts.camera}, recorder {restarts.recorder}, board {restarts.board}"
    yield f"moments      {status.store.moments} on the device, {status.store.not_exported} of them on no stick yet"
    yield f"room         {status.store.free_bytes / 1e9:.2f} GB free"
    yield f"versions     {', '.join(f'{name} {version}' for name, version in status.versions.items())}"
    yield ""
    yield "wrong now:" if status.faults else "nothing is wrong now"
    yield from (f"  {name}: {message}" for name, message in status.faults.items())
    if status.history:
        yield ""
        yield "since it was switched on:"
        for noted in status.history:
            yield f"  {noted.at:%Y-%m-%d %H:%M:%S} {'over: ' if noted.over else ''}{noted.fault}: {noted.message}"
