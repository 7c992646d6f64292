"""The device is the one of the stories."""

from stories.conftest import device, switched_on

__all__ = ["device", "switched_on"]
