"""TLS between the processes of a run, with keys (made by Dask with `cryptography`) that live as long as the run does.

Whoever reaches a Dask scheduler runs code as its owner, so wherever traffic leaves 127.0.0.1 both sides have to show
a certificate of this run's own authority.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .errors import ClusterError
from .leaving import passing_folder

if TYPE_CHECKING:
    from distributed.security import Security

_PREFIX = ".keys-"
ROLES = ("client", "scheduler", "worker")


@dataclass(frozen=True)
class Keys:
    """A run's authority and the one key that its processes share, as PEM files readable by their owner alone.

    The certificate is its own authority.
    """

    certificate: Path
    key: Path

    def security(self) -> Security:
        """What Dask's scheduler, workers and client take."""
        from distributed.security import Security

        certificate, key = str(self.certificate), str(self.key)
        return Security(
            require_encryption=True,
            tls_ca_file=certificate,
            **{f"tls_{role}_cert": certificate for role in ROLES},
            **{f"tls_{role}_key": key for role in ROLES},
        )


@contextmanager
def run_keys(parent: Path) -> Iterator[Keys]:
    """Make fresh keys in a folder of their own in `parent`, and remove them at the end of the block.

    What a killed run left in `parent` is removed as well.

    Raises ClusterError if others could exchange the folder: `parent` is writable for them.
    """
    from distributed.security import Security

    if parent.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not parent.stat().st_mode & stat.S_ISVTX:
        raise ClusterError(f"{parent}: others may write there, so keys are not safe in it; chmod go-w {parent}")
    for left in parent.glob(f"{_PREFIX}*"):
        shutil.rmtree(left)
    made = Security.temporary()
    with passing_folder(_PREFIX, parent) as folder:
        keys = Keys(folder / "certificate.pem", folder / "key.pem")
        _write_private(keys.certificate, made.tls_ca_file)
        _write_private(keys.key, made.tls_scheduler_key)
        yield keys


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)


def refuse_plain_tcp(address: str) -> None:
    """Refuse an address that is reached without encryption over a network.

    Raises ClusterError unless the address is of TLS or of this machine's loopback.
    """
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme not in ("tls", "wss") and not is_loopback(parts.hostname or ""):
        raise ClusterError(
            f"{address}: without encryption, whoever sees this traffic can run code as you; "
            "use tls:// with tls_ca, tls_cert and tls_key, or say --insecure-tcp"
        )


def is_loopback(host: str) -> bool:
    """Whether a host is reached on this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
