"""connect.py LOCATION NAME CA_FILE [CERTIFICATE KEY]: lists the flights, and prints "ok" or the name of the exception."""
import sys

import pyarrow.flight as flight


def read(path):
    with open(path, "rb") as f:
        return f.read()


options = {"tls_root_certs": read(sys.argv[3]), "override_hostname": sys.argv[2]}
if len(sys.argv) > 4:
    options["cert_chain"], options["private_key"] = read(sys.argv[4]), read(sys.argv[5])
try:
    with flight.connect(sys.argv[1], **options) as client:
        list(client.list_flights())
    print("ok")
except Exception as e:  # which one it is, is the answer
    print(type(e).__name__)
