#!/bin/sh
# Makes what the stages before have built a camera.
exec /opt/venv/bin/python -m imaging.stage "$ROOTFS_DIR"
