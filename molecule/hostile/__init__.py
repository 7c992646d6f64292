"""What strangers plug in, and what the device does then."""
