#!/bin/sh
# Puts partitions around what the last stage has made. Unlike pi-gen's own way, without loop devices and mounts.
exec /opt/venv/bin/python -m imaging.assemble "$EXPORT_ROOTFS_DIR" "$DEPLOY_DIR/$IMG_FILENAME$IMG_SUFFIX.img"
