from __future__ import annotations

import datetime

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._x509 import parse_certificate

# openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 400 -subj /O=system:nodes/CN=system:node:edge1
KUBELET = """some text before
-----BEGIN CERTIFICATE-----
MIIBujCCAWGgAwIBAgIUGnGvgQqrqPH9ApCvBseKOgDA1qEwCgYIKoZIzj0EAwIw
MzEVMBMGA1UECgwMc3lzdGVtOm5vZGVzMRowGAYDVQQDDBFzeXN0ZW06bm9kZTpl
ZGdlMTAeFw0yNjExMjIxMTE0NTdaFw0yNzEyMjcxMTE0NTdaMDMxFTATBgNVBAoM
DHN5c3RlbTpub2RlczEaMBgGA1UEAwwRc3lzdGVtOm5vZGU6ZWRnZTEwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAAQJZQ79QPBp2fHOMKz54qJy4RC15hQ1sEv4ycff
IeEzknYsnl+/I75wNXDUIZSkVgOYrGFRJMm3pH1NOX+Ls0y4o1MwUTAdBgNVHQ4E
FgQUJMdojOBvHhi7BTG17OTTBoO5Y14wHwYDVR0jBBgwFoAUJMdojOBvHhi7BTG1
7OTTBoO5Y14wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiATrAIb
9MTNBMb0euRNM8hE01RnNHZnZhnqM7yzmOCLPwIgdH41l0Fte880gj/qF1hHgYK/
LppFnSbjPX7KwovhfBM=
-----END CERTIFICATE-----
"""


def test_common_name_and_dates() -> None:
    certificate = parse_certificate(KUBELET)
    assert certificate is not None
    assert certificate.common_name == "system:node:edge1"
    assert certificate.not_after - certificate.not_before == datetime.timedelta(days=400)
    assert certificate.not_after.tzinfo is datetime.timezone.utc


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", id="no certificate"),
        pytest.param("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----", id="no base64"),
        pytest.param(KUBELET.replace("\nMII", "\nMIJ", 1)[:200], id="cut off"),
    ],
)
def test_what_cannot_be_read(text: str) -> None:
    assert parse_certificate(text) is None
