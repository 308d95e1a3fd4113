"""Certificates as the grid has them: an authority, a person's certificate, and a proxy certificate that stands for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PROXY_INFO = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14")
_INHERIT_ALL = bytes.fromhex("300c300a06082b06010505071501")
"""RFC 3820, section 3.8: the policy id-ppl-inheritAll, and no limit to the length of the path."""


class Issued:
    """A certificate with its key."""

    def __init__(self, name: str, issuer: Issued | None = None, *, kind: str = "person") -> None:
        """`kind` is authority, server (on 127.0.0.1), person or proxy."""
        self.key = ec.generate_private_key(ec.SECP256R1())
        above = issuer.certificate.subject if issuer else x509.Name([])
        own = x509.NameAttribute(NameOID.COMMON_NAME, name)
        self.subject = x509.Name([*(above if kind == "proxy" else []), own])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            above if issuer else self.subject,
            self.subject,
            self.key.public_key(),
            x509.random_serial_number(),
            now - timedelta(hours=1),
            now + timedelta(days=10),
        )
        for extension, critical in _extensions(kind):
            builder = builder.add_extension(extension, critical)
        self.certificate = builder.sign(issuer.key if issuer else self.key, hashes.SHA256())
        self.issuer = issuer if kind == "proxy" else None

    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, path: Path) -> Path:
        """A file of the certificate, its key and, of a proxy, that of the person; as `~/.ssl/cadcproxy.pem` is."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(self.pem() + key + (self.issuer.pem() if self.issuer else b""))
        return path


def _extensions(kind: str) -> list[tuple[x509.ExtensionType, bool]]:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=kind == "authority",
        crl_sign=kind == "authority",
        encipher_only=False,
        decipher_only=False,
    )
    found: list[tuple[x509.ExtensionType, bool]] = [(usage, True)]
    if kind == "proxy":
        return [*found, (x509.UnrecognizedExtension(_PROXY_INFO, _INHERIT_ALL), True)]
    if kind == "server":
        names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
        found.append((names, False))
    return [*found, (x509.BasicConstraints(ca=kind == "authority", path_length=None), True)]
