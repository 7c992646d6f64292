"""Stories of a card that was flashed with the image."""
