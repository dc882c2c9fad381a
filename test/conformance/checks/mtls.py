"""TLS in both directions: mtls.py LOCATION LOCATION FOLDER_OF_CERTIFICATES"""
import pyarrow.flight as flight
from expect import raises
from tls import pem, unavailable


def certificates(folder, name):
    return {"tls_root_certs": pem(folder, "ca"), "cert_chain": pem(folder, name), "private_key": pem(folder, f"{name}-key")}


def check_client_certificate(_, location, folder):
    with flight.connect(location, **certificates(folder, "client")) as client:
        (identity,) = client.do_action("identity")
        assert identity.body.to_pybytes() == b"skipper", identity


def check_client_without_certificate(_, location, folder):
    unavailable(location, tls_root_certs=pem(folder, "ca"))


def check_client_of_another_ca(_, location, folder):
    unavailable(location, **certificates(folder, "other-client"))
