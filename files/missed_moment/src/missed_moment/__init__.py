"""A camera that keeps the last minute in RAM, and on disk only what someone asked for."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("missed-moment")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+source"
