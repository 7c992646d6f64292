from pathlib import Path

import pytest

from imaging.traces import remove_traces

SHADOW = "root:*:20000:0:99999:7:::\npi:!:20001::::::\n"

LEFT = (
    "etc/ssh/ssh_host_ed25519_key",
    "var/lib/systemd/random-seed",
    "var/lib/apt/lists/deb.example_dists_trixie_InRelease",
    "var/log/journal/0123/system.journal",
    "root/.ansible/tmp/module.py",
    "tmp/.hidden",
    "etc/passwd-",
    "etc/apt/apt.conf.d/51cache",
    "etc/apt/sources.list.d/00-temp.list",
)
STAYS = ("etc/ssh/sshd_config", "etc/passwd", "var/lib/dpkg/status", "root/.bashrc")


@pytest.fixture(autouse=True)
def _accounts(tree: Path) -> None:
    (tree / "etc").mkdir(exist_ok=True)
    (tree / "etc/shadow").write_text(SHADOW)


def test_what_must_be_on_no_device_is_gone_and_nothing_else(tree: Path) -> None:
    for name in (*LEFT, *STAYS, "etc/machine-id"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("something")
    (tree / "etc/resolv.conf").symlink_to("/run/of/the/host")
    remove_traces(tree)
    assert not [name for name in LEFT if (tree / name).exists()]
    assert not [name for name in STAYS if not (tree / name).exists()]
    assert (tree / "etc/machine-id").read_text() == ""
    assert str((tree / "etc/resolv.conf").readlink()) == "../run/systemd/resolve/stub-resolv.conf"


def test_nothing_is_followed_out_of_the_tree(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("of the host")
    (tree / "var/log").mkdir(parents=True)
    (tree / "var/log/link").symlink_to(outside)
    remove_traces(tree)
    assert (outside / "file").exists()
    assert not (tree / "var/log/link").is_symlink()


def test_nothing_says_when_accounts_were_made(tree: Path) -> None:
    remove_traces(tree)
    assert (tree / "etc/shadow").read_text() == "root:*::0:99999:7:::\npi:!:::::::\n"
