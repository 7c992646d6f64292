"""Images of sticks that are broken, full or misleading; made on the host, with nothing mounted."""

import functools
import random
import struct
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from imaging import host
from machines.sticks import MB, sparse

SECTOR = 512
SIZE = 48 * MB
FOREIGN = {"letter.txt": b"Dear Sir,\n", "holiday/beach.jpg": bytes(range(256)) * 40}
"""What lies on each vfat stick, and must lie there afterwards."""


def foreign_on(image: Path) -> dict[str, bytes]:
    """Return what lies on a whole-stick vfat image outside our folder, as the host reads it."""
    host.install("mcopy", "mtools")
    with tempfile.TemporaryDirectory() as scratch:
        for name in FOREIGN:
            top = name.split("/")[0]
            subprocess.run(["mcopy", "-n", "-s", "-i", image, f"::{top}", scratch], check=True, capture_output=True)
        return {name: (Path(scratch) / name).read_bytes() for name in FOREIGN}


def noise(seed: int) -> bytes:
    """Return four kilobytes of it, the same for each seed."""
    return random.Random(seed).randbytes(4096)  # noqa: S311 - the same noise each time


def other(image: Path, *command: str) -> None:
    """Make a stick as `command` does, which takes the image as its last argument."""
    sparse(image, SIZE)
    subprocess.run([*command, image], check=True, capture_output=True)


def signed(image: Path, at: int, content: bytes) -> None:
    """Make a stick of nothing but `content`, `at` so many bytes from its beginning."""
    sparse(image, SIZE)
    patch(image, at, content)


def patch(image: Path, at: int, content: bytes) -> None:
    """Write over a part of an image."""
    with image.open("r+b") as file:
        file.seek(at)
        file.write(content)


def vfat(image: Path, more: Mapping[str, bytes | int] | None = None) -> None:
    """Make a vfat stick with `FOREIGN` on it, and more: contents, or how many bytes of nothing in particular."""
    host.install("mkfs.vfat", "dosfstools")
    host.install("mcopy", "mtools")
    other(image, "mkfs.vfat", "-F", "32", "-s", "1")
    with tempfile.TemporaryDirectory(dir=image.parent) as scratch:
        for name, content in {**FOREIGN, **(more or {})}.items():
            path = Path(scratch) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else bytes(content))
        tops = sorted(Path(scratch).iterdir())
        # -D s: what does not fit, or is there, is passed over.
        subprocess.run(["mcopy", "-D", "s", "-s", "-i", image, *tops, "::"], check=False, capture_output=True)


def holding(more: Mapping[str, bytes | int]) -> Callable[[Path], None]:
    """Make vfat sticks that hold `more`."""
    return lambda image: vfat(image, more)


def exfat(image: Path) -> None:
    """Make an empty exfat stick."""
    host.install("mkfs.exfat", "exfatprogs")
    other(image, "mkfs.exfat")


def ext4(image: Path, links: Mapping[str, str] | None = None, mode: int = 0o777) -> None:
    """Make an ext4 stick that anybody may write to, unless `mode` says otherwise, and which holds `links`."""
    with tempfile.TemporaryDirectory(dir=image.parent) as scratch:
        for name, target in (links or {}).items():
            path = Path(scratch) / name
            path.parent.mkdir(mode=0o777, parents=True, exist_ok=True)
            path.parent.chmod(0o777)
            path.symlink_to(target)
        other(image, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "^64bit", "-d", scratch)
    command = ("debugfs", "-w", "-R", f"set_inode_field / mode 040{mode:o}", image)
    subprocess.run(command, check=True, capture_output=True)


def ext4_of_root(image: Path) -> None:
    """Make an ext4 stick as mkfs leaves them: its top folder is root's."""
    ext4(image, mode=0o755)


def ext4_with(links: Mapping[str, str]) -> Callable[[Path], None]:
    """Make ext4 sticks with links on them, each name with what it leads to."""
    return functools.partial(ext4, links=links)


def ntfs(image: Path) -> None:
    """Make an empty NTFS stick."""
    host.install("mkntfs", "ntfs-3g")
    other(image, "mkntfs", "--force", "--quick", "--quiet")


def ntfs_asleep(image: Path) -> None:
    """Make a stick onto which Windows has written all that it holds in memory, and will go on from there."""
    ntfs(image)
    with tempfile.NamedTemporaryFile(dir=image.parent) as memory:
        memory.write(b"hibr" + bytes(8192))
        memory.flush()
        subprocess.run(["ntfscp", "--force", image, memory.name, "hiberfil.sys"], check=True, capture_output=True)


Regions = dict[str, tuple[int, int]]
"""Where the parts of a file system lie: offset and length in bytes."""


def vfat_regions(image: Path) -> Regions:
    """Find the parts of FAT32."""
    head = image.read_bytes()[:SECTOR]
    reserved, fats = struct.unpack_from("<HB", head, 14)
    (fat_sectors,) = struct.unpack_from("<I", head, 36)
    fat, length = reserved * SECTOR, fat_sectors * SECTOR
    return {
        "boot sector": (0, 90),
        "FSInfo": (SECTOR, SECTOR),
        "first FAT": (fat, 64),
        "second FAT": (fat + length, 64),
        "root folder": (fat + fats * length, 128),
    }


def exfat_regions(image: Path) -> Regions:
    """Find the parts of exFAT."""
    head = image.read_bytes()[:SECTOR]
    fat, _, heap = struct.unpack_from("<III", head, 80)
    (root,) = struct.unpack_from("<I", head, 96)
    cluster = 1 << (head[108] + head[109])
    return {
        "boot sector": (64, 64),
        "boot checksum": (11 * SECTOR, SECTOR),
        "FAT": (fat * SECTOR, 64),
        "bitmap": (heap * SECTOR, 64),
        "root folder": (heap * SECTOR + (root - 2) * cluster, 128),
    }


def ext4_regions(image: Path) -> Regions:
    """Find the parts of ext4, as `ext4` makes it."""
    descriptors = image.read_bytes()[4096:4128]
    blocks, inodes, table = (number * 4096 for number in struct.unpack_from("<III", descriptors))
    return {
        "superblock": (1024, 256),
        "group descriptors": (4096, 32),
        "block bitmap": (blocks, 64),
        "inode bitmap": (inodes, 64),
        "inode table": (table, 2 * 256),
        "journal": (table + 7 * 256, 256),
    }


def ntfs_regions(image: Path) -> Regions:
    """Find the parts of NTFS."""
    head = image.read_bytes()[:SECTOR]
    (sector,) = struct.unpack_from("<H", head, 11)
    cluster = sector * head[13]
    table, mirror = (number * cluster for number in struct.unpack_from("<QQ", head, 48))
    record = 1024
    return {
        "boot sector": (3, 80),
        "MFT": (table, record),
        "MFT's mirror": (mirror, record),
        "log file's record": (table + 2 * record, record),
        "root folder's record": (table + 5 * record, record),
        "bitmap's record": (table + 6 * record, record),
    }


def vfat_with_a_ring(image: Path) -> None:
    """Make a file whose chain of clusters comes back to itself."""
    vfat(image, {"film.bin": 4 * MB})
    fats = [vfat_regions(image)[name][0] for name in ("first FAT", "second FAT")]
    entries = list(struct.unpack_from("<2000I", image.read_bytes(), fats[0]))
    ring = next(number for number in range(100, 1900) if entries[number] == number + 1)
    entries[ring] = ring - 50
    for at in fats:
        patch(image, at, struct.pack("<2000I", *entries))


def vfat_with_a_loop(image: Path) -> None:
    """Make a folder whose first cluster is the root folder's."""
    vfat(image)
    at, _ = vfat_regions(image)["root folder"]
    content = bytearray(image.read_bytes()[at : at + SECTOR])
    entry = next(n for n in range(0, SECTOR, 32) if content[n : n + 11] == b"HOLIDAY    ")
    content[entry + 20 : entry + 22], content[entry + 26 : entry + 28] = b"\x00\x00", b"\x02\x00"
    patch(image, at, bytes(content))


def cut(image: Path, make: Callable[[Path], None]) -> None:
    """Make a stick that says that it is larger than it is."""
    make(image)
    with image.open("r+b") as file:
        file.truncate(SIZE // 3)


def vfat_with_namesakes(image: Path) -> None:
    """Make files that are called as clips are, and are none."""
    clips = {f"missed-moment/moment-{number:06}.mp4": b"not a clip" for number in range(1, 40)}
    vfat(image, clips)


def vfat_half_full(image: Path) -> None:
    """Make a stick so full that what is written to it now comes behind its first 24 megabytes."""
    vfat(image, {"film.bin": 24 * MB})


_FOLDERS, _FILES = 256, 4096


def vfat_with_a_million(image: Path) -> None:
    """Make folders full of files of nothing. Written here: nothing else is as quick."""
    host.install("mkfs.vfat", "dosfstools")
    other(image, "mkfs.vfat", "-F", "32", "-s", "8")
    head = image.read_bytes()[:SECTOR]
    regions = vfat_regions(image)
    heap, cluster = regions["root folder"][0], head[13] * SECTOR
    in_root, per_folder = _FOLDERS * 32 // cluster, _FILES * 32 // cluster
    # One entry is 11 letters of name, attributes, and zeros: no cluster, no bytes.
    root, chains = bytearray(), [*range(3, 2 + in_root), 0x0FFFFFFF]
    for folder in range(_FOLDERS):
        first = 2 + in_root + folder * per_folder
        root += struct.pack("<11sB8xH4xHI", b"MANY%-7d" % folder, 0x10, first >> 16, first & 0xFFFF, 0)
        own = [struct.pack("<11sB8xH4xHI", b".          ", 0x10, first >> 16, first & 0xFFFF, 0)]
        own += [struct.pack("<11sB8xH4xHI", b"..         ", 0x10, 0, 0, 0)]
        own += [struct.pack("<11sB20x", b"%-11d" % number, 0x20) for number in range(_FILES - 2)]
        patch(image, heap + (first - 2) * cluster, b"".join(own))
        chains += [*range(first + 1, first + per_folder), 0x0FFFFFFF]
    patch(image, heap, bytes(root))
    for name in ("first FAT", "second FAT"):
        patch(image, regions[name][0] + 8, struct.pack(f"<{len(chains)}I", *chains))


def table(image: Path, script: str) -> None:
    """Make a stick with a partition table and nothing in it."""
    host.install("sfdisk", "fdisk")
    sparse(image, SIZE)
    subprocess.run(["sfdisk", "--quiet", "--no-reread", image], check=True, input=script, text=True)


def many_partitions(image: Path) -> None:
    """Make as many partitions as GPT commonly holds."""
    table(image, "label: gpt\n" + "".join(f"start={2048 + n * 256}, size=256\n" for n in range(128)))


def partition_beyond(image: Path) -> None:
    """An MBR that was made for a larger stick."""
    vfat(image)
    entry = struct.pack("<8B2I", 0, 0, 0, 0, 0xC, 0, 0, 0, 2048, 1 << 30)
    patch(image, 446, entry)
    patch(image, 510, b"\x55\xaa")


def efi_alone(image: Path) -> None:
    """Make a stick that starts computers."""
    table(image, "label: gpt\nstart=2048, size=80000, type=uefi\n")
    with tempfile.TemporaryDirectory(dir=image.parent) as scratch:
        part = sparse(Path(scratch) / "part", 80000 * SECTOR)
        subprocess.run(["mkfs.vfat", "-F", "32", part], check=True, capture_output=True)
        patch(image, 2048 * SECTOR, part.read_bytes())
