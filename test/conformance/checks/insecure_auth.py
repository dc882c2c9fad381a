"""Auth in plain text, where that is meant: insecure_auth.py LOCATION"""
import base64

import pyarrow.flight as flight
from auth import by_proto
from expect import raises

USER, PASSWORD = "ada", "love:lace"


def names(client, options=None):
    return [info.descriptor.path[0].decode() for info in (client.list_flights(options=options) if options else client.list_flights())]


def header(key, value):
    return flight.FlightCallOptions(headers=[(key, value)])


def check_plain_text_basic_token(client):
    token = client.authenticate_basic_token(USER, PASSWORD)
    options = flight.FlightCallOptions(headers=[token])
    assert names(client, options) == ["small"]
    assert client.do_get(flight.Ticket(b"small"), options).read_all().num_rows == 2


def check_plain_text_handshake(client):
    client.authenticate(by_proto(USER, PASSWORD))
    assert names(client) == ["small"]


def check_plain_text_nobody_and_wrong_passwords(client):
    with raises(flight.FlightUnauthenticatedError, "expected credentials"):
        names(client)
    with raises(flight.FlightUnauthenticatedError, "is wrong"):
        client.authenticate_basic_token(USER, "wrong")


def check_a_users_token_makes_no_operator(client):
    token = client.authenticate_basic_token(USER, PASSWORD)[1].removeprefix(b"Bearer ")
    raw = base64.urlsafe_b64decode(token + b"=" * (-len(token) % 4))
    for value in (token, raw, b"", b"x" * 2000):
        with raises(flight.FlightUnauthenticatedError, "the operator's token"):
            list(client.do_action("HealthCheck", header(b"flight-operator-token-bin", value)))
