"""https on the sandbox: a certificate of one's own, one from an authority, its renewal, an authority that refuses."""

import re
import socket
import ssl
from collections.abc import Iterator

import httpx
import pytest
from cryptography import x509

from tests.e2e import visitor
from tests.e2e.certificate_authority import Authority, running
from tests.e2e.deployment import STACK, Deployment
from tests.unit.certificates import Pair, authority, certificate

NAME = "www.board.test"
CA = authority()


@pytest.fixture(scope="module")
def secured(deployment: Deployment) -> Deployment:
    """Deployed for the first time, with a certificate of its own."""
    deployment.configure(domain=NAME, tls="own")
    give(deployment, certificate(NAME, signed_by=CA))
    run = deployment.up()
    assert f"https://{NAME}/healthz has a certificate that this machine does not trust" in run.text
    return deployment


@pytest.fixture(scope="module")
def pebble(secured: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """An authority on this machine's side of the server's network."""
    gateway = secured.on_server("ip -4 route show default").split()[2]
    with running(tmp_path_factory.mktemp("pebble"), gateway, secured.output("address")) as made:
        yield made


def test_the_site_is_on_https_with_the_given_certificate(secured: Deployment) -> None:
    assert secured.output("url") == f"https://{NAME}"
    answer = by_https(secured, "/healthz", NAME, CA.pem)
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=63072000"
    led = by_http(secured, "/api/notes?limit=1", NAME)
    assert (led.status_code, led.headers["location"]) == (301, f"https://{NAME}/api/notes?limit=1")
    cookie = by_https(secured, "/", NAME, CA.pem).headers["set-cookie"]
    assert "; Secure" in cookie, "the application knows that its readers are on https"


def test_the_key_is_roots_alone_and_nowhere_else(secured: Deployment) -> None:
    assert secured.on_server("stat -Lc '%U %a' /etc/flask/tls/live/privkey.pem") == "root 600"
    key = secured.on_server("cat /etc/flask/tls/live/privkey.pem")
    secret = key.splitlines()[1]
    found = secured.on_server(
        f"grep -rlF -e {secret} /etc /var/lib /var/log /srv /opt /run 2>/dev/null | grep -v '^/etc/flask/tls/'; true"
    )
    assert found == ""
    said = secured.on_server("journalctl --no-pager; ps -eo args")
    assert secret not in said
    kept = [
        file
        for file in secured.folder.rglob("*")
        if file.is_file() and ".venv" not in file.parts and secret.encode() in file.read_bytes()
    ]
    assert kept == []


def test_a_second_up_changes_nothing(secured: Deployment) -> None:
    assert "no changes" in secured.up().text


def test_another_certificate_takes_the_place_of_the_first(secured: Deployment) -> None:
    before = served(secured, NAME)
    give(secured, certificate(NAME, signed_by=CA))
    secured.up()
    assert served(secured, NAME).serial_number != before.serial_number
    assert secured.on_server("ls -d /etc/flask/tls/own-* | wc -l") == "1"


def test_a_key_of_another_certificate_is_refused_before_anything_happens(secured: Deployment) -> None:
    good = certificate(NAME, signed_by=CA)
    give(secured, Pair(good.certificate, certificate(NAME).private))
    run = secured.ops("up", STACK)
    assert run.status == 1
    assert "certificateKey is not the private key" in run.text
    give(secured, good)
    secured.up()


def test_an_authority_gives_the_certificate(secured: Deployment, pebble: Authority) -> None:
    secured.configure(
        tls="acme",
        acmeEmail="admin@board.test",
        acmeDirectory=pebble.directory,
        acmeCa=pebble.ca,
        certificate=None,
    )
    secured.up()
    assert "Pebble" in served(secured, NAME).issuer.rfc4514_string()
    assert by_http(secured, "/", NAME).status_code == 301
    assert secured.on_server("systemctl is-active flask-certificate.timer") == "active"
    assert "no changes" in secured.up().text


def test_a_certificate_that_ends_soon_is_renewed_by_the_timers_service(
    secured: Deployment, pebble: Authority
) -> None:
    before = served(secured, NAME)
    secured.on_server("systemctl start flask-certificate.service")
    assert served(secured, NAME).serial_number == before.serial_number, "it is good for a while"
    # As if it ended soon.
    address, context = secured.output("address"), trusting_all()
    with visitor.answers(lambda: status(address, NAME, context)) as seen:
        secured.on_server(
            "sed -i '1i renew_before_expiry = 36500 days' /etc/flask/acme/renewal/site.conf"
            " && systemctl start flask-certificate.service"
            " && sed -i /renew_before_expiry/d /etc/flask/acme/renewal/site.conf"
        )
    assert set(seen) == {"200"}, "nginx is reloaded without a loss"
    assert served(secured, NAME).serial_number != before.serial_number


def test_an_authority_that_refuses_leaves_the_site_on_http_and_says_so(
    secured: Deployment, pebble: Authority
) -> None:
    other = "shop.board.test"
    secured.configure(domain=other, acmeDirectory=pebble.directory.replace("/dir", "/nothing-here"))
    run = secured.ops("up", STACK)
    assert run.status == 1
    assert f"There is no new certificate for {other}" in run.text
    assert "the site is served on http" in run.text
    assert by_http(secured, "/healthz", other).status_code == 200
    secured.configure(acmeDirectory=pebble.directory)
    secured.up()
    assert by_http(secured, "/healthz", other).status_code == 301
    assert re.search("Pebble", served(secured, other).issuer.rfc4514_string())


def test_back_on_http(secured: Deployment) -> None:
    secured.configure(tls=None)
    secured.up()
    assert by_http(secured, "/healthz", "shop.board.test").status_code == 200
    assert "strict-transport-security" not in by_http(secured, "/", "shop.board.test").headers
    assert "no changes" in secured.up().text


def status(address: str, name: str, context: ssl.SSLContext) -> str:
    """Ask the site by a new https connection: the answer's status, or the error."""
    try:
        with httpx.Client(verify=context) as client:
            answer = client.get(
                f"https://{address}/healthz",
                headers={"Host": name},
                extensions={"sni_hostname": name},
                timeout=10,
            )
    except httpx.HTTPError as error:
        return repr(error)
    return str(answer.status_code)


def trusting_all() -> ssl.SSLContext:
    """For who wants to see a certificate, whoever signed it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def give(deployment: Deployment, pair: Pair) -> None:
    """Set a certificate, with its authority behind it, and its key."""
    deployment.configure(certificate=pair.pem + CA.pem)
    assert deployment.ops("secret", STACK, "certificateKey", "--key", stdin=pair.key).status == 0


def by_http(deployment: Deployment, path: str, name: str) -> httpx.Response:
    return httpx.get(f"http://{deployment.output('address')}{path}", headers={"Host": name}, timeout=10)


def by_https(deployment: Deployment, path: str, name: str, ca: str) -> httpx.Response:
    with httpx.Client(verify=ssl.create_default_context(cadata=ca)) as client:
        return client.get(
            f"https://{deployment.output('address')}{path}",
            headers={"Host": name},
            extensions={"sni_hostname": name},
            timeout=10,
        )


def served(deployment: Deployment, name: str) -> x509.Certificate:
    """The certificate that readers get, whoever signed it."""
    with (
        socket.create_connection((deployment.output("address"), 443), timeout=10) as plain,
        trusting_all().wrap_socket(plain, server_hostname=name) as connection,
    ):
        encoded = connection.getpeercert(binary_form=True)
        assert encoded
        return x509.load_der_x509_certificate(encoded)
