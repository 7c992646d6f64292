"""Handing moments over: onto a stick, or into any directory."""
