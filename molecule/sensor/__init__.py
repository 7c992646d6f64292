"""Stories of a device whose camera is on the board's connector: real picamera2 and libcamera, in the real unit."""
