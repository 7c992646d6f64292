"""What the tests of the image share: a small tree that is as a device's."""

import os
from pathlib import Path

import pytest
from cards import card

from imaging.assemble import assemble

FSTAB = """\
PARTUUID=6d6d0001-01 /boot/firmware vfat defaults 0 2
PARTUUID=6d6d0001-02 / ext4 defaults 0 1
"""
STATUS = """\
Package: base-files
Status: install ok installed
Architecture: arm64
Essential: yes
Installed-Size: 10
Version: 13
Depends: awk
Built-Using: tiny (= 1.0-1)

Package: mawk
Status: install ok installed
Architecture: arm64
Provides: awk
Version: 1.3

Package: python3-av
Status: install ok installed
Architecture: arm64
Source: pyav
Version: 14.2
Depends: libav61 (>= 7) | libav-extra61

Package: libav61
Status: install ok installed
Architecture: arm64
Source: ffmpeg (7:7.1-1)
Version: 7.1

Package: gone
Status: deinstall ok config-files
Version: 1
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root file system of a few files, some of which are somebody's or may do more than others."""
    tree = tmp_path / "tree"
    files = {
        "etc/fstab": FSTAB,
        "etc/hostname": "missed-moment\n",
        "usr/bin/tool": "#!/bin/sh\n",
        "boot/firmware/config.txt": "camera_auto_detect=1\n",
        "boot/firmware/overlays/disable-bt.dtbo": "\0" * 5000,
        "data/clips/.keep": "",
        "usr/share/common-licenses/GPL-3": "GPL",
        "usr/share/doc/base-files/copyright": "of base-files",
        "usr/share/doc/mawk/copyright": "of mawk",
        "usr/share/doc/libav61/copyright": "of libav61",
        "opt/missed-moment/venv/lib/python3.13/site-packages/thing-1.dist-info/METADATA": "Name: thing\nVersion: 1\n",
        "opt/missed-moment/venv/lib/python3.13/site-packages/thing-1.dist-info/licenses/LICENSE": "of thing",
        "var/lib/dpkg/arch-native": "arm64\n",
        "var/lib/dpkg/status": STATUS,
    }
    for name, content in files.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (tree / "usr/bin/tool").chmod(0o4755)
    os.chown(tree / "data/clips", 998, 998)
    (tree / "bin").symlink_to("usr/bin")
    (tree / "usr/share/doc/python3-av").symlink_to("/usr/share/doc/libav61")
    return tree


@pytest.fixture
def image(tree: Path, tmp_path: Path) -> Path:
    """A small card's image of it."""
    image = tmp_path / "image"
    assemble(tree, image, card(tree))
    return image
