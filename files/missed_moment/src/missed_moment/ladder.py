"""What is done about a camera that is there and films nothing: it is started again, then the recorder, then the board.

Pure, but for the two notes that outlive the recorder: one in RAM, which is gone with the power, and one in the store.
Each rung is only climbed when the one below has helped nothing, and the last one less and less often.
"""

import logging
from enum import Enum
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from missed_moment.clock import NS
from missed_moment.durable import Disk, replace_file

log = logging.getLogger(__name__)

PATIENCE_NS = 25 * NS
"""A camera that was started again had its time to settle by then, twice (`keeper.START_NS`)."""
TRUST_NS = 60 * NS
"""Pictures for so long mean that it was mended."""
RECORDERS_IN_VAIN = 2
REBOOT_AFTER_S = (120, 600, 3600, 6 * 3600, 24 * 3600)
"""How long a board must have been up before it is started again: each time in a row, longer."""
_NOTE = ".restarts.json"
_Note = TypeVar("_Note", bound=BaseModel)


class Step(Enum):
    """What is to be done now."""

    NOTHING = "nothing"
    RECORDER = "recorder"
    BOARD = "board"


class Restarts(BaseModel):
    """How often what was started again.

    The camera since the recorder was started, the recorder since the board was, the board since there were pictures.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    camera: int = Field(0, ge=0)
    recorder: int = Field(0, ge=0)
    board: int = Field(0, ge=0)


def next_step(stuck_ns: int, up_s: float, in_vain: int, boards: int) -> Step:
    """Decide; `stuck_ns` is for how long there were no pictures, `up_s` for how long the board is up.

    `in_vain` recorders were started since the last picture, and `boards` likewise.
    """
    if stuck_ns < PATIENCE_NS:
        return Step.NOTHING
    if in_vain < RECORDERS_IN_VAIN:
        return Step.RECORDER
    return Step.BOARD if up_s >= REBOOT_AFTER_S[min(boards, len(REBOOT_AFTER_S) - 1)] else Step.RECORDER


class _Run(BaseModel):
    """The note in RAM: recorders that ended without being told to, and those of them that saw no picture."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    recorder: int = Field(0, ge=0)
    in_vain: int = Field(0, ge=0)


class Ladder:
    """Climbs. For one thread, which may wait for the disk before the board is started again, and after."""

    def __init__(self, runtime: Path | None, store: Path, disk: Disk) -> None:
        """Set up; notes are in `runtime` (None: this recorder is nobody's to start again) and in the store."""
        self._disk = disk
        self._run_note = runtime and runtime / _NOTE
        self._board_note = store / _NOTE
        self._known_boards: int | None = None
        self._run = _Run()

    def begin(self) -> None:
        """Read the note in RAM. One that is there now tells that the recorder before ended without being told to."""
        if self._run_note and self._run_note.exists():
            before = _read(self._run_note, _Run())
            self._run = _Run(recorder=before.recorder + 1, in_vain=before.in_vain + 1)
        self._write_run()

    def restarts(self, camera: int) -> Restarts:
        """Count everything; `camera` as its keeper counts it."""
        return Restarts(camera=camera, recorder=self._run.recorder, board=self._boards)

    def look(self, stuck_ns: int, filming_ns: int, up_s: float) -> Step:
        """Decide what to do, and note it; `filming_ns` is for how long there have been pictures.

        A board is not started again where that cannot be noted: nobody would know how often it was.
        """
        if filming_ns > TRUST_NS:
            self._mended()
        if self._run_note is None:
            return Step.NOTHING
        step = next_step(stuck_ns, up_s, self._run.in_vain, self._boards)
        if step is Step.BOARD and not self._note_boards(self._boards + 1):
            return Step.RECORDER
        return step

    def ended(self) -> None:
        """The recorder was told to end: the next one is no restart."""
        if self._run_note:
            self._run_note.unlink(missing_ok=True)

    @property
    def _boards(self) -> int:
        """Read the note in the store once; that may be mounted later than the recorder is started."""
        if self._known_boards is None and self._board_note.parent.is_dir():
            self._known_boards = _read(self._board_note, Restarts()).board
        return self._known_boards or 0

    def _mended(self) -> None:
        if self._run.in_vain:
            self._run = self._run.model_copy(update={"in_vain": 0})
            self._write_run()
        if self._boards:
            self._note_boards(0)

    def _note_boards(self, boards: int) -> bool:
        try:
            replace_file(self._disk, self._board_note, Restarts(board=boards).model_dump_json().encode())
        except OSError as error:
            log.error("%s cannot be written (%s)", self._board_note, error)
            return False
        self._known_boards = boards
        return True

    def _write_run(self) -> None:
        if self._run_note:
            self._run_note.write_text(self._run.model_dump_json())


def _read(path: Path, default: _Note) -> _Note:
    try:
        return type(default).model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return default
