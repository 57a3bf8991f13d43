# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import pathlib
import ssl
import typing as t

import pytest
import yaml

from ansible_collections.airgap.mlops.plugins.module_utils._kubeconfig import KubeError, read_kubeconfig

# Of no use but here: made by `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test -days 36500`.
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBdjCCARugAwIBAgIUd2tOapzSl8kTkrwgrS43R2laC00wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjIxNDIxNTlaGA8yMTI2MTAyOTE0MjE1
OVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHva
7GBpVrm/7IXD6huVyBDCjMVIAwxKHbQHvoGLYP2L2EekZ9ONJNGw69BKCH2WoyGw
sRln/8q9iFFxrTu0UV+jUzBRMB0GA1UdDgQWBBSKIyjxLT0R+vTPYmI02rT3zIzi
WzAfBgNVHSMEGDAWgBSKIyjxLT0R+vTPYmI02rT3zIziWzAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQCe+ZoLc7NAYKjkhnViy8qmwCa4rry+L/k7
Xcu0wSDkUQIhAMPW/qJSK/UoWrFR5B/BficO/AW+0kKaQ3Mu6f/QAitH
-----END CERTIFICATE-----
"""
KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJ+C626gzfyUmYbnW
Gv7cGMbV4REEfZuRVawkR4gX2mihRANCAAR72uxgaVa5v+yFw+oblcgQwozFSAMM
Sh20B76Bi2D9i9hHpGfTjSTRsOvQSgh9lqMhsLEZZ//KvYhRca07tFFf
-----END PRIVATE KEY-----
"""


def config(cluster: dict[str, t.Any], user: dict[str, t.Any]) -> dict[str, t.Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "other", "cluster": {}}, {"name": "c", "cluster": cluster}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": user}],
    }


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def write(tmp_path: pathlib.Path) -> t.Callable[[t.Any], str]:
    def to_file(content: t.Any) -> str:
        path = tmp_path / "k3s.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return str(path)

    return to_file


def test_missing_kubeconfig_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(KubeError, match=r"kubeconfig .*/none\.yaml does not exist\. Is k3s running"):
        read_kubeconfig(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "a: [",
        "- 1",
        "apiVersion: v1\nkind: Config\ncurrent-context: gone\n",
        config({}, {"token": "t"}),
        config({"server": "10.0.0.1:6443"}, {"token": "t"}),
        config({"server": "https://h"}, {"tokenFile": "gone"}),
        config({"server": "https://h", "certificate-authority-data": encoded("no PEM")}, {}),
        config({"server": "https://h"}, {"client-certificate-data": encoded(CERTIFICATE)}),
    ],
)
def test_broken_kubeconfig_is_named(write: t.Callable[[t.Any], str], content: t.Any) -> None:
    with pytest.raises(KubeError, match=r"(?s)kubeconfig .*/k3s\.yaml cannot be used: .* Name a kubeconfig"):
        read_kubeconfig(write(content))


@pytest.mark.parametrize("way", ["exec", "auth-provider", "username"])
def test_a_login_that_needs_a_program_is_refused(write: t.Callable[[t.Any], str], way: str) -> None:
    with pytest.raises(KubeError, match=f"logs in by {way}, and here only a certificate or a token"):
        read_kubeconfig(write(config({"server": "https://h"}, {way: {"command": "aws"}})))


@pytest.mark.parametrize(
    ("server", "host", "port", "path"),
    [
        ("https://127.0.0.1:6443", "127.0.0.1", 6443, ""),
        ("https://[fd00::1]:6443", "fd00::1", 6443, ""),
        ("https://gateway.example/clusters/a/", "gateway.example", 443, "/clusters/a"),
        ("http://localhost:8001", "localhost", 8001, ""),
    ],
)
def test_servers(write: t.Callable[[t.Any], str], server: str, host: str, port: int, path: str) -> None:
    login = read_kubeconfig(write(config({"server": server}, {"token": "t"})))
    assert (login.host, login.port, login.path, login.token) == (host, port, path, "t")
    assert (login.tls is None) is server.startswith("http:")


def test_a_certificate_and_an_authority_in_the_file(write: t.Callable[[t.Any], str]) -> None:
    cluster = {"server": "https://h", "certificate-authority-data": encoded(CERTIFICATE), "tls-server-name": "other"}
    user = {"client-certificate-data": encoded(CERTIFICATE), "client-key-data": encoded(KEY)}
    login = read_kubeconfig(write(config(cluster, user)))
    assert login.tls
    assert login.tls.verify_mode == ssl.CERT_REQUIRED
    assert ["test" in str(ca["subject"]) for ca in login.tls.get_ca_certs()] == [True]
    assert login.server_name == "other"
    assert "PRIVATE" not in repr(login)


def test_files_are_named_relative_to_the_kubeconfig(write: t.Callable[[t.Any], str], tmp_path: pathlib.Path) -> None:
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    (tmp_path / "token").write_text("abc\n")
    cluster = {"server": "https://h", "certificate-authority": "ca.pem"}
    login = read_kubeconfig(write(config(cluster, {"tokenFile": "token"})))
    assert login.tls
    assert len(login.tls.get_ca_certs()) == 1
    assert (login.token, login.port) == ("abc", 443)
    assert "abc" not in repr(login)


def test_verification_can_be_switched_off(write: t.Callable[[t.Any], str]) -> None:
    login = read_kubeconfig(write(config({"server": "https://h", "insecure-skip-tls-verify": True}, {})))
    assert login.tls
    assert login.tls.verify_mode == ssl.CERT_NONE
