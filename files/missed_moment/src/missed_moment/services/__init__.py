"""The long-running programs, wired together from the parts. Wiring only."""
