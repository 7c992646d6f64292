"""What stories and proofs of the sandbox have in common: somebody runs what they like in the recorder's place."""

import json

from machines.virtual_device import VirtualDevice

# Each is tried by the recorder's user. What it needs taken away from the unit to succeed is named beside it, so that
# each is seen to be stopped by that and by nothing else.
ATTACKS = {
    "open a network socket": "RestrictAddressFamilies=",
    "see the system's network": "PrivateNetwork=no",
    "write beside the moments": "ProtectSystem=no",
    "write where everybody may": "TemporaryFileSystem=",
    "ask a daemon that has a network": "TemporaryFileSystem=",
    "leave something in shared memory": "InaccessiblePaths=",
    "open another device": "DevicePolicy=auto\nDeviceAllow=",
    "make a namespace": "RestrictNamespaces=no",
    "make a program setuid": "RestrictSUIDSGID=no",
    "read another's home": "ProtectHome=no",
    "see another's process": "ProtectProc=default",
    "make memory that can be written executable": "MemoryDenyWriteExecute=no",
}
_ATTACK = r"""
import ctypes, json, mmap, os, pathlib, socket
libc = ctypes.CDLL(None, use_errno=True)

def call(result):
    if result is False or result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def mark_setuid():
    path = pathlib.Path("/run/missed-moment-attack/program")
    path.touch()
    path.chmod(0o4755)

def ask_a_daemon():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("/run/attacked-daemon/socket")

def cards():
    names = [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]
    call(len(names) > 1)

tries = {
    "open a network socket": lambda: socket.socket(socket.AF_INET).close(),
    "see the system's network": cards,
    "write beside the moments": lambda: open("/data/anybody/attack", "w").close(),
    "write where everybody may": lambda: open("/run/lock/attack", "w").close(),
    "ask a daemon that has a network": ask_a_daemon,
    "leave something in shared memory": lambda: open("/dev/shm/attack", "w").close(),
    "open another device": lambda: open("/dev/fuse", "rb").close(),
    "make a namespace": lambda: call(libc.unshare(0x10000000)),
    "make a program setuid": mark_setuid,
    "read another's home": lambda: open("/home/letter").read(),
    "see another's process": lambda: os.stat("/proc/1/stat"),
    "make memory that can be written executable": lambda: mmap.mmap(-1, 4096, prot=7),
}
result = {}
for name, attempt in tries.items():
    try:
        attempt()
        result[name] = "done"
    except Exception as refused:
        result[name] = f"refused: {refused}"
print("RESULT " + json.dumps(result))
"""
_PREPARE = """
mountpoint -q /home || mount -t tmpfs -o mode=755 tmpfs /home
echo "Dear Sir," >/home/letter
modprobe fuse
install -d -m 777 /data/anybody
systemctl is-active --quiet attacked-daemon.service || systemd-run --quiet --unit=attacked-daemon \
    --property=RuntimeDirectory=attacked-daemon python3 -c '
import os, socket
listening = socket.socket(socket.AF_UNIX)
listening.bind("/run/attacked-daemon/socket")
os.chmod("/run/attacked-daemon/socket", 0o666)
listening.listen()
while True:
    listening.accept()[0].close()
'
until [ -S /run/attacked-daemon/socket ]; do sleep 0.2; done
cat >/run/virtual-board/attack.py
"""
_UNIT = """
sed -e 's/^Type=.*/Type=oneshot/' -e '/^Restart=/d' -e '/^WatchdogSec=/d' -e 's/^RuntimeDirectory=.*/&-attack/' \
    -e 's|^BindPaths=.*|& /run/missed-moment-attack|' -e 's|^BindReadOnlyPaths=.*|& /run/virtual-board|' \
    -e 's|^ExecStart=.*|ExecStart=/usr/bin/python3 /run/virtual-board/attack.py|' \
    /etc/systemd/system/missed-moment.service >/run/systemd/system/attack.service
mkdir -p /run/systemd/system/attack.service.d
printf '[Service]\\n%s\\n' "$1" >/run/systemd/system/attack.service.d/less.conf
systemctl daemon-reload
systemctl start attack.service
journalctl --sync
journalctl --invocation=0 --unit=attack.service --quiet --output=cat
"""


def arm(device: VirtualDevice) -> None:
    """Have what is needed to attack, and something to attack."""
    device.guest.run("sh", "-euc", _PREPARE, stdin=_ATTACK)


def attacked(device: VirtualDevice, less: str = "") -> dict[str, str]:
    """Return what came of each attack from inside the recorder's unit, of which `less` was taken away."""
    said = device.run("sh", "-euc", _UNIT, "sh", less)
    (line,) = [line for line in said.splitlines() if line.startswith("RESULT ")]
    result: dict[str, str] = json.loads(line.removeprefix("RESULT "))
    assert result.keys() == ATTACKS.keys()  # noqa: S101 - proofs end in here
    return result
