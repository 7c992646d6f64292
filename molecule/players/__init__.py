"""What players say of a clip."""
