"""missed-moment-doctor: checks a device against what site.yml was asked to make of it.

Only the standard library, and nothing of the recorder: a broken recorder is among the things to be found. What must
be is written here a second time and not read from the roles, so that a slip in a role cannot excuse itself. The
doctor changes nothing.
"""
