"""Keys of a run, and addresses that are refused."""

import socket
import ssl
import stat
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from crbatch.cluster.connect import connect
from crbatch.cluster.errors import ClusterError
from crbatch.cluster.local import simulated
from crbatch.cluster.profiles import parse_profile
from crbatch.cluster.security import Keys, refuse_plain_tcp, run_keys
from distributed import Client, LocalCluster, default_client


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_private_fresh_and_gone_afterwards(tmp_path: Path) -> None:
    with run_keys(tmp_path) as first:
        assert mode(first.key.parent) == 0o700
        assert mode(first.key) == mode(first.certificate) == 0o600
        text = first.key.read_text()
        assert text.startswith("-----BEGIN PRIVATE KEY")
    assert list(tmp_path.iterdir()) == []
    with run_keys(tmp_path) as second:
        assert second.key.read_text() != text


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".keys-of-the-dead"
    left.mkdir()
    (left / "key.pem").write_text("secret")
    with run_keys(tmp_path):
        assert not left.exists()


def test_folder_where_others_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ClusterError, match="others may write"), run_keys(tmp_path):
        pass


@pytest.mark.parametrize(
    "address", ["tls://10.0.0.1:8786", "tcp://127.0.0.1:1", "127.0.0.1:1", "tcp://[::1]:1", "tcp://localhost:1"]
)
def test_safe_addresses(address: str) -> None:
    refuse_plain_tcp(address)


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:8786", "10.0.0.1:8786", "node7:8786", "ws://10.0.0.1:1", "tcp://127.0.0.1.evil.org:1"]
)
def test_plain_traffic_over_a_network_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match="--insecure-tcp"):
        refuse_plain_tcp(address)
    profile = parse_profile({"kind": "address", "address": address}, "x")
    with pytest.raises(ClusterError, match="--insecure-tcp"), connect(profile):
        pass


def greeting(address: str, context: ssl.SSLContext | None) -> bytes:
    """What Dask says first to whoever connects."""
    host, _, port = address.rpartition("/")[2].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20.0) as plain:
        try:
            with context.wrap_socket(plain) if context else plain as connection:
                if context is None:
                    connection.sendall(bytes(64))
                return connection.recv(1000)
        except OSError:  # of TLS, or a connection that was ended
            return b""


def context_of(keys: Keys | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if keys is not None:
        context.load_cert_chain(keys.certificate, keys.key)
    return context


def local(case: str) -> AbstractContextManager[Client | None]:
    return connect("local", 1) if case == "local" else simulated(2, 1)


@pytest.mark.parametrize("case", ["local", "simulated"])
def test_local_clusters_answer_nobody_without_their_keys(case: str, tmp_path: Path) -> None:
    """Whoever reached the port of a scheduler or worker on this machine would run code as its user."""
    with local(case) as client, run_keys(tmp_path) as strange:
        assert client is not None
        for address in (client.scheduler.address, *client.nthreads()):
            assert address.startswith("tls://127.0.0.1:")
            for context in (None, context_of(None), context_of(strange)):
                assert b"compression" not in greeting(address, context)
        assert client.submit(sum, [1, 2]).result() == 3


def test_keys_that_are_missing_are_named(tmp_path: Path) -> None:
    there = tmp_path / "there.pem"
    there.touch()
    files = {"tls_ca": str(there), "tls_cert": str(there), "tls_key": str(tmp_path / "gone.pem")}
    profile = parse_profile({"kind": "address", "address": "tls://127.0.0.1:1"} | files, "x")
    with pytest.raises(ClusterError, match=r"^tls_key: .*gone.pem: no readable file"), connect(profile):
        pass


def test_existing_scheduler_with_tls(tmp_path: Path) -> None:
    with run_keys(tmp_path) as keys:
        security = keys.security()
        with LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tls://",
            security=security,
            dashboard_address=None,
            host="127.0.0.1",
        ) as cluster:
            words = {"kind": "address", "address": cluster.scheduler_address}
            own = {"tls_ca": str(keys.certificate), "tls_cert": str(keys.certificate), "tls_key": str(keys.key)}
            with connect(parse_profile(words | own, "x")) as client:
                assert isinstance(client, Client)
                assert client.submit(sum, [1, 2]).result() == 3
            with pytest.raises(ClusterError, match="no Dask scheduler answers"), connect(parse_profile(words, "x")):
                pass
    with pytest.raises(ValueError, match="No clients found"):  # one that failed is nobody's default
        default_client()


def test_scheduler_without_workers_or_none_at_all() -> None:
    with LocalCluster(
        n_workers=0, processes=False, protocol="tcp://", dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        profile = parse_profile({"kind": "address", "address": cluster.scheduler_address}, "x")
        with pytest.raises(ClusterError, match="no workers"), connect(profile):
            pass
