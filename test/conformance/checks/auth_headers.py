"""authenticate_basic_token, and the headers that it stands for: auth_headers.py LOCATION LOCATION"""
import base64

import pyarrow.flight as flight
from auth import PASSWORD, USER, peer, refused
from expect import raises
from headers import Following


def token(client):
    name, value = client.authenticate_basic_token(USER, PASSWORD)
    assert name == b"authorization" and value.startswith(b"Bearer ") and len(value) > len(b"Bearer "), (name, value)
    return name, value


def basic(name, password):
    return flight.FlightCallOptions(headers=[(b"authorization", b"Basic " + base64.b64encode(f"{name}:{password}".encode()))])


def check_basic_token(client, location):
    token(client)


def check_basic_token_invalid_password(client, location):
    for name, password in ((USER, "wrong"), ("pirate", PASSWORD), ("", "")):
        with raises(flight.FlightUnauthenticatedError):
            client.authenticate_basic_token(name, password)


def check_basic_token_and_action(client, location):
    assert peer(client, flight.FlightCallOptions(headers=[token(client)])) == USER


def check_without_token(client, location):
    refused(client)
    with raises(flight.FlightUnauthenticatedError):
        list(client.do_action("peer", flight.FlightCallOptions(headers=[(b"authorization", b"Bearer made-up")])))


def check_token_comes_to_client_middleware(_, location):
    following = Following()
    with flight.connect(location, middleware=[following]) as client:
        assert peer(client, basic(USER, PASSWORD)) == USER
        (bearer,) = {v for headers in following.received for v in headers.get("authorization", [])}
        assert bearer.startswith("Bearer "), bearer
        assert peer(client, flight.FlightCallOptions(headers=[(b"authorization", bearer.encode())])) == USER
    with flight.connect(location) as client, raises(flight.FlightUnauthenticatedError):
        peer(client, basic(USER, "wrong"))


def check_token_and_arbitrary_headers(client, location):
    options = flight.FlightCallOptions(headers=[token(client), (b"x-one", b"1"), (b"x-two", b"2")])
    assert [r.body.to_pybytes() for r in client.do_action(("headers of", b"x-one,x-two"), options)] == [b"1", b"2"]
