"""The Debian package, installed with its dependencies into a clean root, where the agent starts."""

import os
import shutil
import subprocess

import pytest

from programs import BIN, Process

BUILD = BIN.parent


def have_root_tools():
    return os.geteuid() == 0 and shutil.which("mmdebstrap") is not None


@pytest.mark.skipif(not have_root_tools(), reason="needs root and mmdebstrap")
@pytest.mark.skipif("release" not in BUILD.name, reason="the package is of the release build")
def test_the_package_installs_into_a_clean_root_and_its_agent_starts(tmp_path):
    subprocess.run(
        ["cpack", "-G", "DEB", "-B", tmp_path / "package"],
        cwd=BUILD,
        check=True,
        capture_output=True,
        text=True,
    )
    (package,) = (tmp_path / "package").glob("*.deb")
    listing = subprocess.run(
        ["dpkg-deb", "-c", package], check=True, capture_output=True, text=True
    ).stdout
    for path in (
        "./usr/bin/simplon-agent",
        "./usr/bin/simplonctl",
        "./usr/lib/systemd/user/simplon-agent.service",
        "./usr/lib/systemd/system/simplon-agent.service",
        "./etc/simplon/agent.conf",
    ):
        assert path in listing, listing
    root = tmp_path / "root"
    # Mounts of its own: where the test is interrupted, they end with it, and pytest's clearing of old
    # folders does not walk into a /proc.
    made = subprocess.run(
        ["unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=apt", "--format=directory"]
        + [f"--customize-hook=cp {package} \"$1\"/tmp/simplon.deb"]
        + ["--customize-hook=chroot \"$1\" apt-get install -y -q --no-install-recommends /tmp/simplon.deb"]
        + ["bookworm", root, *sources()],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr[-4000:]
    agent = Process(
        ["chroot", "--userspec=simplon:simplon", root, "/usr/bin/simplon-agent"]
        + ["--config", "/etc/simplon/agent.conf", "--state-dir", "/var/lib/simplon"]
        + ["--agent-name", "packaged", "--hub-listen", "127.0.0.1:0"],
        "packaged agent",
    )
    try:
        agent.wait_line(r"\bready\b")
        status = subprocess.run(
            ["chroot", root, "/usr/bin/simplonctl", "--state-dir", "/var/lib/simplon", "status"],
            capture_output=True,
            text=True,
        )
        assert status.returncode == 0, status.stderr
        assert "packaged" in status.stdout
    finally:
        code = agent.end()
    assert code == 0, agent.log
    shutil.rmtree(root)


def sources():
    """This host's own package sources, so that the clean root uses the same."""
    listed = [
        path
        for folder in ("/etc/apt", "/etc/apt/sources.list.d")
        for path in sorted(os.scandir(folder), key=lambda entry: entry.name)
        if path.name.endswith((".list", ".sources"))
    ]
    return [entry.path for entry in listed]
