"""Workers over ssh, from a real OpenSSH server on this machine's loopback, with keys of its own."""

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from socket import create_connection, socket
from time import monotonic, sleep

import pytest

pytestmark = pytest.mark.system  # needs sshd


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose ssh reaches a server that only its key opens."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    keys = tmp_path / ".ssh"
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    (keys / "known").write_text(f"[127.0.0.1]:{port} {(keys / 'host.pub').read_text()}")
    (keys / "config").write_text(
        f"Host 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n IdentityFile {keys}/user\n"
        f" UserKnownHostsFile {keys}/known\n"
    )
    (tmp_path / "sshd").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {keys}/user.pub\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", tmp_path / "sshd"])
    try:
        end = monotonic() + 20.0
        while True:
            try:
                create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert server.poll() is None
                assert monotonic() < end
                sleep(0.05)
        yield tmp_path
    finally:
        server.terminate()
        server.wait()


def crbatch(home: Path, *words: object) -> str:
    command = [sys.executable, "-P", "-m", "crbatch", *map(str, words)]
    done = subprocess.run(command, env=os.environ | {"HOME": str(home)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_run_over_ssh(home: Path) -> None:
    """Pinned, encrypted, without pages, by what the doctor sees; the same bytes as here; and nobody stays."""
    profile = home / "hosts.toml"
    profile.write_text('kind = "ssh"\nhosts = ["127.0.0.1"]\nworkers = 2\n')
    checks = json.loads(crbatch(home, "doctor", "-o", home, "--cluster", profile, "--json"))["checks"]
    assert [line for line in checks if line["part"] == "cluster" and line["state"] != "ok"] == []
    for name, cluster in (("there", profile), ("here", "none")):
        crbatch(home, "run", "smoke", "-o", home / name, "--no-report", "--cluster", cluster)
    assert (home / "there" / "cube.nc").read_bytes() == (home / "here" / "cube.nc").read_bytes()
    events = [json.loads(line) for line in (home / "there" / "journal.jsonl").read_text().splitlines()]
    assert [event["workers"] for event in events if event["event"] == "connected"] == [2]
    assert list(home.glob("there/.keys-*")) == []
    left = subprocess.run(["pgrep", "-f", f"dask_spec.*{home}"], capture_output=True, text=True, check=False)
    assert left.stdout == ""
