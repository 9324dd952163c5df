"""With a certificate the address speaks TLS: clients check it, and a cookie is for this host alone."""

import shutil
import ssl
import subprocess
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from cnnctl.errors import ServiceUnavailable
from cnnctl.http_client import HttpClient
from cnnctl.views.requests import TokenRequest
from tests.api.conftest import Api

pytestmark = [
    pytest.mark.parametrize("store_url", ["sqlite"], indirect=True),
    pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate"),
]


@pytest.fixture
def secure(make_api: Callable[..., Api], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    """An API with a certificate for 127.0.0.1, which this process trusts."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=gpu01"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return make_api(CNNCTL_API_CERTIFICATE=str(certificate), CNNCTL_API_KEY=str(key))


def test_a_client_that_trusts_the_certificate_comes_in(secure: Api) -> None:
    token = secure.client().create_token(TokenRequest(name="laptop")).secret
    assert HttpClient.at(f"https://127.0.0.1:{secure.port}", token=token).get_me().via == "token laptop"


def test_a_client_that_does_not_trust_it_sends_nothing(secure: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ServiceUnavailable, match="certificate verify failed"):
        HttpClient.at(f"https://127.0.0.1:{secure.port}", token="cnn_secret").get_me()


def test_a_browsers_cookie_is_for_this_host_and_tls_alone(secure: Api) -> None:
    link = secure.client().make_link().url
    assert link.startswith("https://")
    context = ssl.create_default_context(cafile=secure.environment["CNNCTL_API_CERTIFICATE"])
    connection = HTTPSConnection("127.0.0.1", secure.port, context=context)
    connection.request("GET", "/" + link.split("/", 3)[3])
    cookie = connection.getresponse().headers["Set-Cookie"]
    connection.close()
    assert cookie.startswith("__Host-cnnctl=")
    assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
