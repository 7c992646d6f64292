"""Proofs of a conversion to a read-only system, in a container with a real partition."""
