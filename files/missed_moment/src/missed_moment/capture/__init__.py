"""Where packets come from. Nothing here muxes, writes files or waits for anyone but its own device."""
