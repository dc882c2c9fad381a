"""Who is let in: client_certificates.py LOCATION LOCATION FOLDER_OF_CERTIFICATES CERTIFICATE=in|out...

CERTIFICATE is the name of a client's certificate in the folder, or none."""
import pyarrow.flight as flight
from expect import read
from tls import pem, unavailable


def check_who_is_let_in(_, location, folder, *expected):
    for name, result in (e.split("=") for e in expected):
        options = {"tls_root_certs": pem(folder, "ca")}
        if name != "none":
            options |= {"cert_chain": pem(folder, name), "private_key": pem(folder, f"{name}-key")}
        if result == "in":
            with flight.connect(location, **options) as client:
                assert read(client, "small").num_rows == 2, name
        else:
            unavailable(location, "small", **options)
