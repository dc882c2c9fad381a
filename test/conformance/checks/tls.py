"""TLS: tls.py LOCATION LOCATION FOLDER_OF_CERTIFICATES"""
import pyarrow.flight as flight
from expect import equal, raises, read
from tables import DEPTHS


def pem(folder, name):
    with open(f"{folder}/{name}.pem", "rb") as f:
        return f.read()


def unavailable(location, dataset="depths", **kwargs):
    with flight.connect(location, **kwargs) as client, raises(flight.FlightUnavailableError):
        read(client, dataset)


def check_fails_without_root_certificate(client, location, folder):
    """The client trusts what the system does, to which our CA does not belong."""
    with raises(flight.FlightUnavailableError):
        read(client, "depths")


def check_fails_with_another_root_certificate(_, location, folder):
    unavailable(location, tls_root_certs=pem(folder, "other-ca"))


def check_do_get(_, location, folder):
    with flight.connect(location, tls_root_certs=pem(folder, "ca")) as client:
        equal(read(client, "depths"), DEPTHS)


def check_disable_server_verification(_, location, folder):
    with flight.connect(location, disable_server_verification=True) as client:
        equal(read(client, "depths"), DEPTHS)


def check_override_hostname(_, location, folder):
    unavailable(location, tls_root_certs=pem(folder, "ca"), override_hostname="elsewhere.example")
    with flight.connect(location, tls_root_certs=pem(folder, "ca"), override_hostname="flight.example") as client:
        equal(read(client, "depths"), DEPTHS)


def check_generic_options(_, location, folder):
    unavailable(location, tls_root_certs=pem(folder, "ca"), generic_options=[("grpc.ssl_target_name_override", "elsewhere.example")])
    small = [("grpc.max_receive_message_length", 32)]
    with flight.connect(location, tls_root_certs=pem(folder, "ca"), generic_options=small) as client:
        with raises(flight.FlightCancelledError):
            read(client, "depths")


def check_plain_text_is_refused(_, location, folder):
    unavailable(location.replace("grpc+tls", "grpc"))
