"""A camera that keeps the last minute in RAM, and on disk only what someone asked for."""

__version__ = "0.1.0"
