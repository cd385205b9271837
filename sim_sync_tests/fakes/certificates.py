"""Certificates for servers of tests on loopback, made by the `openssl` command; their keys protect nothing."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_CONFIG = """
[ca]
default_ca = own
[own]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[issuer]
basicConstraints = critical, CA:true
[server]
subjectAltName = {names}
"""
_LONG = ("20200101000000Z", "21200101000000Z")
_OVER = ("20200101000000Z", "20200201000000Z")


@dataclass(frozen=True)
class Certificates:
    """An issuer that nobody knows, and what it has issued, as PEM files (key and certificate in one)."""

    issuer: Path
    good: Path
    expired: Path
    of_another_host: Path

    def server(self, chosen: Path) -> ssl.SSLContext:
        """Return the server's side of TLS with a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chosen)
        return context


def make_certificates(folder: Path) -> Certificates:
    """Make them in a folder; the test is skipped where there is no `openssl`."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command to make certificates with")
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    issuer = _issue(folder, "issuer", "issuer", _LONG, by=None)
    good, expired, other = (
        _issue(folder, name, "server", period, by=issuer, names=names)
        for name, period, names in (
            ("good", _LONG, "IP:127.0.0.1,DNS:localhost"),
            ("expired", _OVER, "IP:127.0.0.1,DNS:localhost"),
            ("other", _LONG, "DNS:other.example"),
        )
    )
    return Certificates(issuer, good, expired, other)


def _issue(
    folder: Path, name: str, section: str, period: tuple[str, str], *, by: Path | None, names: str = "DNS:localhost"
) -> Path:
    key, request, found = (folder / f"{name}.{ending}" for ending in ("key", "csr", "pem"))
    config = folder / f"{name}.cnf"
    config.write_text(_CONFIG.format(folder=folder, names=names))
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    _openssl("req", "-new", "-key", str(key), "-subj", f"/CN={name}", "-out", str(request))
    signer = ["-selfsign", "-keyfile", str(key)] if by is None else ["-cert", str(by), "-keyfile", str(by)]
    dates = ["-startdate", period[0], "-enddate", period[1]]
    _openssl(
        "ca", "-batch", "-notext", "-config", str(config), "-extensions", section, *dates, *signer,
        "-in", str(request), "-out", str(found),
    )  # fmt: skip
    found.write_text(key.read_text() + found.read_text())
    return found


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
