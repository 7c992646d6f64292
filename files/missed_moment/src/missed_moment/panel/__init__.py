"""Button and LED: what a person touches and sees. Knows nothing of video."""
