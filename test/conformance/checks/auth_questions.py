"""A handshake of several messages, and a token of the server's own."""
import pyarrow.flight as flight
from auth import PASSWORD, USER, Handshake, peer, refused
from expect import raises


def check_token(client):
    client.authenticate(Handshake(USER.encode(), PASSWORD.encode()))
    assert peer(client) == USER


def check_token_invalid(client):
    with raises(flight.FlightUnauthenticatedError, "wrong"):
        client.authenticate(Handshake(USER.encode(), b"wrong"))
    refused(client)


def check_token_made_up(client):
    class MadeUp(Handshake):
        def get_token(self):
            return b"captain"

    client.authenticate(MadeUp(USER.encode(), PASSWORD.encode()))
    refused(client, "expected a pass")
