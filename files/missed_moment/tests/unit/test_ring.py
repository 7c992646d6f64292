"""The ring: bounded, gapless, and gone when it is wiped."""

import gc
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missed_moment.clock import NS
from missed_moment.packets import PcmBlock, VideoPacket
from missed_moment.ring import Ring, RingState, Take

FPS = 10


def picture(number: int, size: int = 10, gop: int = FPS) -> VideoPacket:
    return VideoPacket.of(bytes(size), number * NS // FPS, number % gop == 0)


def filled(seconds: float, ring_seconds: float = 5, max_bytes: int = 10**9) -> Ring:
    ring = Ring(ring_seconds, max_bytes)
    for number in range(round(seconds * FPS)):
        ring.push_video(picture(number))
    return ring


def times(packets: list[VideoPacket]) -> list[int]:
    return [packet.pts_ns * FPS // NS for packet in packets]


def rest(take: Take) -> list[VideoPacket]:
    return [packet for packet in take.live() if isinstance(packet, VideoPacket)]


def test_it_keeps_at_least_its_seconds_and_at_most_one_gop_more() -> None:
    assert 5 <= filled(60).state().seconds <= 6


@given(st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=300))
def test_it_never_holds_more_bytes_than_it_may(pictures: list[tuple[int, bool]]) -> None:
    ring = Ring(10, 1000)
    for number, (size, keyframe) in enumerate(pictures):
        ring.push_video(VideoPacket.of(bytes(size), number * NS // FPS, keyframe))
        take = ring.follow(0)
        ring.cut(take)
        assert ring.state().size == sum(len(packet.data) for packet in take.history) <= 1000
        assert not take.history or take.history[0].keyframe


def test_an_encoder_without_keyframes_cannot_fill_the_memory() -> None:
    ring = Ring(10, 1000)
    for number in range(500):
        ring.push_video(VideoPacket.of(bytes(10), number * NS // FPS, keyframe=number == 0))
    assert ring.state().size <= 1000
    assert ring.state().unusable > 0


def test_sound_counts_and_leaves_with_its_pictures() -> None:
    ring = Ring(5, 10**9)
    for number in range(60 * FPS):
        ring.push_video(picture(number))
        ring.push_pcm(PcmBlock(bytes(100), number * NS // FPS, number * 4800))
    take = ring.follow(0)
    assert take.pcm_history[0].pts_ns <= take.history[0].pts_ns
    assert len(take.pcm_history) <= len(take.history) + FPS + 1
    assert ring.state().size == 10 * len(take.history) + 100 * len(take.pcm_history)


def test_sound_alone_is_bounded_too() -> None:
    ring = Ring(5, 1000)
    for number in range(100):
        ring.push_pcm(PcmBlock(bytes(100), number * NS // FPS, number))
    assert ring.state().size <= 1000


def test_a_take_begins_at_the_last_keyframe_before_its_start() -> None:
    take = filled(4).follow(round(2.55 * NS))
    assert times(take.history) == list(range(20, 40))


def test_a_take_that_wants_more_than_there_is_gets_what_there_is() -> None:
    take = filled(60).follow(0)
    assert times(take.history)[0] % FPS == 0
    assert times(take.history)[-1] == 599


def test_nothing_is_missing_between_history_and_what_follows() -> None:
    """While a camera thread pushes without pause, takes are made: each is gapless."""
    ring = Ring(3, 10**9)
    stop = threading.Event()
    pushed = [0]

    def push() -> None:
        while not stop.is_set():
            ring.push_video(picture(pushed[0]))
            pushed[0] += 1

    camera = threading.Thread(target=push)
    camera.start()
    takes = []
    while len(takes) < 50:
        if pushed[0] > FPS:
            takes.append(ring.follow(0))
    stop.set()
    camera.join()
    for take in takes:
        ring.cut(take)
        seen = times(take.history) + times(rest(take))
        assert seen == list(range(seen[0], pushed[0]))


def test_a_take_ends_before_the_first_picture_at_its_end() -> None:
    ring = filled(2)
    take = ring.follow(0)
    for number in range(20, 50):
        ring.push_video(picture(number))
        if number == 25:
            ring.end(take, 3 * NS)
    assert times(rest(take)) == list(range(20, 30))


@pytest.mark.parametrize("late", ["sound", "pictures"])
def test_a_take_waits_for_whichever_of_sound_and_pictures_is_late(late: str) -> None:
    ring = filled(1)
    ring.push_pcm(PcmBlock(b"-", NS - 1, 0))
    take = ring.follow(0)
    ring.end(take, 2 * NS)
    video = [picture(number) for number in range(10, 22)]
    sound = [PcmBlock(bytes(2), number * NS // FPS, number) for number in range(10, 22)]
    for packet in [*video, *sound] if late == "sound" else [*sound, *video]:
        if isinstance(packet, VideoPacket):
            ring.push_video(packet)
        else:
            ring.push_pcm(packet)
    seen = list(take.live())
    assert len([packet for packet in seen if isinstance(packet, VideoPacket)]) == 10
    assert len([packet for packet in seen if isinstance(packet, PcmBlock)]) == 10


def test_wiping_leaves_nothing_and_goes_on_with_the_next_keyframe() -> None:
    ring = filled(3.5)
    ring.wipe()
    assert ring.state().size == 0
    for number in range(35, 60):
        ring.push_video(picture(number))
    assert times(ring.follow(0).history) == list(range(40, 60))
    assert ring.state().unusable == 5


def test_what_was_taken_survives_the_wipe() -> None:
    ring = filled(2)
    take = ring.follow(0)
    ring.wipe()
    assert len(take.history) == 20


def test_cutting_twice_is_harmless() -> None:
    ring = filled(1)
    take = ring.follow(0)
    ring.cut(take)
    ring.cut(take)
    assert rest(take) == []


def test_a_snapshot_holds_references_not_copies() -> None:
    ring = Ring(5, 10**9)
    packet = picture(0)
    ring.push_video(packet)
    assert ring.follow(0).history[0] is packet


def marked(ring: Ring, mark: bytes) -> None:
    """Film and listen for 3 s; each packet carries a mark."""
    for number in range(3 * FPS):
        ring.push_video(picture(number)._replace(data=mark + bytes([number])))
        ring.push_pcm(PcmBlock(mark + bytes([number]), number * NS // FPS, number * 4800))


def held_with(mark: bytes) -> int:
    """Count the packets with a mark that anything in this process still refers to."""
    return sum(isinstance(held, VideoPacket | PcmBlock) and held.data.startswith(mark) for held in gc.get_objects())


def test_it_ages_by_the_clock_while_nothing_arrives() -> None:
    """A camera that was unplugged pushes nothing that could push anything out."""
    ring = Ring(5, 10**9)
    marked(ring, mark := b"unplugged")
    ring.age(round(7.9 * NS))
    assert ring.state().pictures == FPS
    assert held_with(mark) > FPS
    ring.age(round(9.1 * NS))
    assert ring.state() == RingState(0, 0, 0, 0)
    assert held_with(mark) == 0
    for number in range(95, 110):
        ring.push_video(picture(number))
    assert times(ring.follow(0).history) == list(range(100, 110))


def after_an_outage(ring: Ring, seconds: float) -> int:
    """Film 3 s, nothing, and 2 s again; returns the number of the first picture after the outage."""
    for number in range(3 * FPS):
        ring.push_video(picture(number))
    first = 3 * FPS + round(seconds * FPS)
    for number in range(first, first + 2 * FPS):
        ring.push_video(picture(number))
    return first


@pytest.mark.parametrize("outage_s", [11, 60, 14 * 3600])
def test_no_history_spans_an_outage(outage_s: int) -> None:
    ring = Ring(70, 10**9)
    first = after_an_outage(ring, outage_s)
    assert times(ring.follow(0).history) == list(range(first, first + 2 * FPS))
    assert ring.state().size == 10 * 2 * FPS


def test_a_gap_while_a_camera_is_started_again_is_no_outage() -> None:
    ring = Ring(70, 10**9)
    after_an_outage(ring, 9)
    assert len(ring.follow(0).history) == 5 * FPS


@pytest.mark.parametrize("outage_s", [11, 14 * 3600])
def test_a_moment_that_grows_ends_where_an_outage_begins(outage_s: int) -> None:
    ring = filled(2, 70)
    take = ring.follow(0)
    for number in range(20, 30):
        ring.push_video(picture(number))
    assert not take.interrupted(12 * NS)
    assert take.interrupted(13 * NS)
    for number in range(30 + outage_s * FPS, 50 + outage_s * FPS):
        ring.push_video(picture(number))
    assert times(rest(take)) == list(range(20, 30))


def test_a_take_that_waits_for_its_first_picture_is_not_interrupted() -> None:
    ring = Ring(70, 10**9)
    take = ring.follow(0)
    assert not take.interrupted(60 * NS)
    for number in range(600, 610):
        ring.push_video(picture(number))
    ring.cut(take)
    assert take.first() == picture(600)
    assert times(rest(take)) == list(range(601, 610))


def test_what_nothing_will_read_any_more_is_released() -> None:
    ring = filled(2)
    take = ring.follow(0)
    for number in range(20, 30):
        ring.push_video(picture(number))
    ring.cut(take)
    take.release()
    assert take.history == take.pcm_history == rest(take) == []
