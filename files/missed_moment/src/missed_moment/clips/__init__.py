"""What a moment is on disk: its file, its directory, the room it needs, and how it survives a power cut."""
