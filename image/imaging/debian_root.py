"""Debian root file systems in which something runs with another Debian's tools, Python and libraries.

A root is bootstrapped with mmdebstrap, set up once and then never written to again: commands run in it over a
read-only mount. It is kept under a name that holds a hash of all that went into it, so whatever changes makes
a new root, and an interrupted build leaves nothing that looks finished. To have a fresh one of the same
content (sid moves on), delete it.

Building and running take a real root user: both mount. Nothing but this file's own cache is changed on the
host, except that mmdebstrap is installed where it is missing.
"""

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imaging import host

Command = tuple[str, ...]
Mount = tuple[str, Path, str]
"""Options, what, and where inside."""

SETUP = Path("/opt/setup")
"""Where a root's `inputs` lie in it."""

_BOOTSTRAP = ("mmdebstrap", "--mode=root", "--variant=minbase")
_OWN_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
# A host that reaches its mirror through a proxy, or has an old copy of it, says so in apt's settings.
_HOST_APT = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)
_HOST_ENV = ("http_proxy", "https_proxy", "no_proxy")
_RESOLVER = Path("/etc/resolv.conf")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_READ_ONLY, _WRITABLE = "ro", "rw"
_ONLINE: tuple[Mount, ...] = tuple(
    (_READ_ONLY, file.resolve(), str(file)) for file in (_RESOLVER, _CERTIFICATES) if file.exists()
)
_HASH_DIGITS = 12


@dataclass(frozen=True)
class DebianRoot:
    """One root: Debian's `suite` with `packages` and what they depend on, no recommendations.

    `inputs` are files of the project that `setup` finds in `SETUP`. `setup` are commands that run in the root
    while it is built, with the network and the host's certificates.
    """

    name: str
    suite: str
    packages: tuple[str, ...]
    inputs: tuple[Path, ...] = ()
    setup: tuple[Command, ...] = ()

    @staticmethod
    def missing() -> str | None:
        """Say why no root can be built or used on this machine; None where it can."""
        if not sys.platform.startswith("linux"):
            return f"a Debian root needs Linux, and this is {sys.platform}"
        if os.geteuid() != 0:
            return "a Debian root is built and entered by root, and this user is not: try sudo"
        if why := host.missing("mmdebstrap"):
            return f"a Debian root cannot be built: {why}"
        if subprocess.run([*_OWN_NAMESPACES, "true"], check=False, capture_output=True).returncode:
            return "a Debian root needs mounts of its own, which are forbidden here: a plain container?"
        return None

    @property
    def path(self) -> Path:
        """Where the root is, or will be once it is built."""
        return _roots() / f"{self.name}-{self._fingerprint()}"

    def build(self) -> Path:
        """Build the root unless it is there, and return where. Takes a minute or two, and the network."""
        with self._ready() as (root, _):
            return root

    def run(
        self,
        command: Sequence[str | Path],
        *,
        binds: Mapping[Path, str] | None = None,
        writable: Mapping[Path, str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        online: bool = False,
        check: bool = True,
        capture: bool = False,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` in the root, building it first if need be.

        The root and `binds` (path on the host: path inside) are read-only, `writable` ones are not, and may lie
        within the others. /tmp is empty, on a disk (what is tested here is about disks) and gone afterwards; so
        is /run, in RAM. /dev and the network are the host's; what it takes to use that (names, certificates,
        proxies) is there where it is to be `online`. Of the environment only `env` is passed on.
        When `command` ends, or after `timeout` seconds, whatever it left running ends with it. `check`,
        `timeout` and (as `capture_output`) `capture` are those of `subprocess.run`.
        """
        with (
            self._ready() as (root, lock),
            tempfile.TemporaryDirectory(prefix=f"{self.name}.tmp-", dir=_roots()) as scratch,
        ):
            Path(scratch).chmod(0o1777)
            mounts = [(_READ_ONLY, source, inside) for source, inside in (binds or {}).items()]
            mounts += [(_WRITABLE, source, inside) for source, inside in (writable or {}).items()]
            return subprocess.run(
                _inside(root, command, [*(_ONLINE if online else ()), *mounts], cwd, Path(scratch)),
                env=_environment({**(_online() if online else {}), **(env or {})}),
                pass_fds=(lock,),
                check=check,
                capture_output=capture,
                text=True,
                timeout=timeout,
            )

    @contextmanager
    def _ready(self) -> Iterator[tuple[Path, int]]:
        """Have the root built, and keep other processes from removing it until the caller is done.

        The lock is passed on to what works on the root: should this process be killed, others still wait.
        """
        _roots().mkdir(parents=True, exist_ok=True)
        with (_roots() / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            while not self.path.is_dir():
                # To change a lock is to let go of it first: somebody else may come in between, each time.
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not self.path.is_dir():
                    self._build(lock.fileno())
                fcntl.flock(lock, fcntl.LOCK_SH)
            yield self.path, lock.fileno()

    def _build(self, lock: int) -> None:
        print(f"building a root of Debian {self.suite}: {self.path}", flush=True)
        for leftover in _roots().glob(f"{self.name}-{'[0-9a-f]' * _HASH_DIGITS}*"):
            remove_tree(leftover)
        part = self.path.with_name(self.path.name + ".part")
        # With Debian's keys, which Ubuntu does not have by itself.
        host.install("mmdebstrap", "mmdebstrap", "debian-archive-keyring")
        bootstrap = (*self._bootstrap(), *_host_apt_options(), self.suite, str(part))
        subprocess.run(bootstrap, check=True, pass_fds=(lock,))
        _below(part, SETUP).mkdir(parents=True)
        for file in self.inputs:
            shutil.copy(file, _below(part, SETUP))
        for command in self.setup:
            entered = _inside(part, command, _ONLINE, str(SETUP))
            subprocess.run(entered, env=_environment(_online()), check=True, pass_fds=(lock,))
        part.rename(self.path)

    def _bootstrap(self) -> Command:
        return (*_BOOTSTRAP, f"--include={','.join(self.packages)}")

    def _fingerprint(self) -> str:
        contents = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in self.inputs}
        recipe = json.dumps([self.suite, self._bootstrap(), contents, self.setup], sort_keys=True)
        return hashlib.sha256(recipe.encode()).hexdigest()[:_HASH_DIGITS]


def _roots() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "missed-moment" / "roots"


def _host_apt_options() -> Iterator[str]:
    """Tell mmdebstrap, which reads no settings of the host, what the host needs to reach its mirror."""
    dump = ["apt-config", "dump", "--no-empty", "--format", '%f "%v";%n', *_HOST_APT]
    for line in subprocess.run(dump, check=True, capture_output=True, text=True).stdout.splitlines():
        yield f"--aptopt={line}"


def remove_tree(root: Path) -> None:
    """Remove a root file system, if it is there; not what may still be mounted in it, which is not ours to delete."""
    subprocess.run(["rm", "-rf", "--one-file-system", "--", root], check=True)


def _online() -> dict[str, str]:
    """Return what tells programs how the host reaches others."""
    env = {name: os.environ[name] for name in _HOST_ENV if name in os.environ}
    return env | {"SSL_CERT_FILE": str(_CERTIFICATES), "PIP_CERT": str(_CERTIFICATES)}


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    # The only place where a home is writable.
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", **env}  # noqa: S108


def _below(root: Path, inside: str | Path) -> Path:
    return root / str(inside).lstrip("/")


def _inside(
    root: Path,
    command: Sequence[str | Path],
    mounts: Sequence[Mount],
    cwd: str,
    scratch: Path | None = None,
) -> list[str]:
    """Return the host's command for running `command` in `root`, in namespaces that end with it.

    With `scratch`, that is /tmp, and the root is read-only.
    """
    own = []
    if scratch is not None:
        own.append(["mount", "--bind", "-o", "ro", str(root), str(root)])
        own.append(["mount", "--bind", str(scratch), str(root / "tmp")])
        own.append(["mount", "-t", "tmpfs", "tmpfs", str(root / "run")])
    own.append(["mount", "-t", "proc", "proc", str(root / "proc")])
    own.append(["mount", "-t", "sysfs", "-o", "ro", "sysfs", str(root / "sys")])
    own.append(["mount", "--rbind", "/dev", str(root / "dev")])
    for options, source, inside in mounts:
        target = _below(root, inside)
        _make_mount_point(source, target)
        own.append(["mount", "--bind", "-o", options, str(source), str(target)])
    chroot = ["chroot", str(root), "env", f"--chdir={cwd}", *map(str, command)]
    # The shell stays: it is process 1 of its namespace, and most signals do nothing to that one.
    script = "\n".join([*map(shlex.join, own), shlex.join(chroot) + ' || exit "$?"'])
    return [*_OWN_NAMESPACES, "sh", "-ec", script]


def _make_mount_point(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()


VENV_PYTHON = "/opt/venv/bin/python"


def venv(*requirements: Path, site_packages: bool = False) -> tuple[Command, ...]:
    """Return the set-up commands for a virtual environment of locked `requirements`.

    With `site_packages`, Debian's own libraries are seen in it, too.
    """
    pip = (VENV_PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir")
    return (
        ("python3", "-m", "venv", *(["--system-site-packages"] if site_packages else []), "/opt/venv"),
        *((*pip, "--no-deps", "--require-hashes", "--requirement", file.name) for file in requirements),
    )
