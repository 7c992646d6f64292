"""missed-moment-doctor: checks a device against what site.yml was asked to make of it.

The doctor uses the standard library only and imports nothing of the recorder, because it must find a broken recorder
too. The required values are repeated here instead of read from the roles, so that a wrong value in a role is found. The
doctor changes nothing.
"""
