"""What takes long to prove of a device: every point at which the power may go, and what it does without anybody."""
