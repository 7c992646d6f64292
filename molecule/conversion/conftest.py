"""The same Debian as for the tests in machines/."""

from machines.conftest import debian

__all__ = ["debian"]
