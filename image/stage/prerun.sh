#!/bin/sh
# pi-gen's way to go on from the stage before: with a copy, so that this stage can be run again.
set -eu
[ -d "$ROOTFS_DIR" ] || { mkdir -p "${ROOTFS_DIR%/*}" && cp -a "$PREV_ROOTFS_DIR" "$ROOTFS_DIR"; }
