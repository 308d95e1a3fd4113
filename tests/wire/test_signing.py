"""The signature, against vectors that Backend.AI's own client 23.9.10 produced."""

from __future__ import annotations

import pytest

from jupyter_sessions.wire.signing import Keypair, Signable, headers_for, parse_authorization

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
MICROS = "2024-01-02T03:04:05.678901+00:00"
VECTORS = [
    (
        ("POST", "/session", "127.0.0.1:8081", MICROS, "application/json"),
        "e03ce050dc314d6df15be37d853509382afbb82ca5270ebbe346a92c79017a9a",
    ),
    (
        ("GET", "/session/mysess-01", "127.0.0.1:8081", "2024-01-02T03:04:05+00:00", "text/plain"),
        "9740518687e3143186c38d6236e277d6654c9a9c0de99ef66b933e3bf1786ce6",
    ),
    (
        (
            "GET",
            "/events/session?sessionName=mysess-01&scope=*",
            "127.0.0.1:8081",
            MICROS,
            "application/octet-stream",
        ),
        "0c133d30066f3f96f96bf658552f211080e182b5a16e5fa4e34b1b9421cf5095",
    ),
    (
        (
            "POST",
            "/base/session/a/upload?owner_access_key=X",
            "api.example.com",
            MICROS,
            "multipart/form-data; boundary=b",
        ),
        "af34415195fc6d8cdd7df5399103cf5fd46c1d9cc92850479e22e045c1113f31",
    ),
]


@pytest.mark.parametrize(("parts", "expected"), VECTORS)
def test_signature_is_the_vendors(parts: tuple[str, str, str, str, str], expected: str) -> None:
    method, target, host, date, content_type = parts
    signable = Signable(
        method=method,
        target=target,
        host=host,
        date=date,
        day="20240102",
        content_type=content_type,
        version="v7.20230615",
    )
    assert signable.signature(SECRET_KEY) == expected


def test_headers_can_be_read_back() -> None:
    keypair = Keypair(ACCESS_KEY, SECRET_KEY)
    headers = headers_for(
        keypair, method="GET", target="/", host="h", content_type="text/plain", version="v7.20230615"
    )
    claim = parse_authorization(headers["Authorization"])
    assert (claim.algorithm, claim.access_key, len(claim.signature)) == ("sha256", ACCESS_KEY, 64)
    assert SECRET_KEY not in str(headers)
    assert SECRET_KEY not in repr(keypair)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer x",
        "BackendAI",
        "BackendAI credential=a:b",
        "BackendAI signMethod=HMAC-SHA256, credential=nocolon",
        "BackendAI signMethod=RSA-SHA256, credential=a:b",
        "BackendAI signMethod=HMAC-nosuch, credential=a:b",
        "BackendAI signMethod=HMAC-shake_128, credential=a:b",
    ],
)
def test_malformed_headers_are_refused(header: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_authorization(header)
