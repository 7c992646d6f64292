"""Every error that this package raises on purpose.

A message says what happened, to what, and what to do about it: it is read by the owner of a box with one
LED, through `missed-moment status` or the journal.
"""

import errno
import os


class MissedMomentError(Exception):
    """Root of all errors raised here."""


class SettingsError(MissedMomentError, ValueError):
    """There is no setting of that name, or a file is too large to be settings."""


class CameraError(MissedMomentError, OSError):
    """A camera is missing, busy or stopped delivering frames."""


class MicrophoneError(MissedMomentError, OSError):
    """A microphone is missing, busy or stopped delivering sound."""


class StoreError(MissedMomentError, OSError):
    """The clip store could not be read or written."""


class StoreFullError(StoreError):
    """There is no room for another moment, and nothing may be deleted to make some."""


class ClipError(MissedMomentError, ValueError):
    """A file is not a clip that can be read, or holds nothing that can be shown."""


class DamagedClipError(ClipError):
    """A clip of which something was kept is damaged so that it cannot be finished."""


class ExportError(MissedMomentError, OSError):
    """A moment could not be copied to where it was asked for, or the copy is not the same."""


class SourceError(MissedMomentError):
    """A moment in the store cannot be read. Not an OSError: it must never be taken for an error of the stick."""


class SourceGoneError(SourceError):
    """A moment was deleted from the store while it was read."""


class StickError(ExportError):
    """A stick, or what was plugged in as one, cannot be used."""


class StickPulledError(MissedMomentError):
    """The stick was pulled while the exporter was at work on it."""


class SystemDiskError(MissedMomentError):
    """The disk that was plugged in belongs to this system: it is mounted, or listed in fstab."""


class ControlError(MissedMomentError, OSError):
    """The recorder could not be asked, or would not do what it was asked."""


class BitstreamError(MissedMomentError, ValueError):
    """The camera's H.264 does not hold what a decoder needs."""


class MemoryLockError(MissedMomentError, OSError):
    """What the RAM holds could reach storage."""


class PanelError(MissedMomentError, OSError):
    """Button or LED cannot be used."""


def is_busy(error: BaseException | None) -> bool:
    """Whether another program holds a device: EBUSY on the error itself, or on one that led to it.

    libcamera raises std::system_error, which Python gets as a RuntimeError that ends in the text of its errno.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if getattr(error, "errno", None) == errno.EBUSY or str(error).endswith(os.strerror(errno.EBUSY)):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def reason(error: Exception) -> str:
    """Return the cause of an error in words, without the number of a system's: "No such file or directory: /data"."""
    words, filename = getattr(error, "strerror", None), getattr(error, "filename", None)
    return f"{words}: {filename}" if words and filename else words or str(error)
