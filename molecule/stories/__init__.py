"""What happens to a device, and what it does then."""
