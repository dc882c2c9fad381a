"""Clients that authenticate, by handshake or by header."""
import base64

import pyarrow.flight as flight
from expect import raises

USER, PASSWORD = "skipper", "ebb:and flow"


class Handshake(flight.ClientAuthHandler):
    """Writes messages, reading one after each; the last that it reads is the token."""

    def __init__(self, *messages):
        super().__init__()
        self.messages, self.token = messages, b""

    def authenticate(self, outgoing, incoming):
        for message in self.messages:
            outgoing.write(message)
            self.token = incoming.read()

    def get_token(self):
        return self.token


def by_proto(name, password):
    return Handshake(flight.BasicAuth(name, password).serialize())


def peer(client, *options):
    """Whom the server takes the client for."""
    identity, address = client.do_action("peer", *options)
    assert address.body.to_pybytes()
    return identity.body.to_pybytes().decode()


def refused(client, *texts):
    with raises(flight.FlightUnauthenticatedError, *texts):
        list(client.do_action("peer"))
