"""auth:basic_proto: nobody is served before the handshake, and everybody is known after it."""
import pyarrow.flight as flight
from expect import raises


class Handler(flight.ClientAuthHandler):
    def __init__(self, name, password):
        super().__init__()
        self.basic_auth = flight.BasicAuth(name, password)
        self.token = None

    def authenticate(self, outgoing, incoming):
        outgoing.write(self.basic_auth.serialize())
        self.token = incoming.read()

    def get_token(self):
        return self.token


def check_without_a_handshake(client, location):
    with raises(flight.FlightUnauthenticatedError):
        list(client.do_action(""))


def check_with_a_handshake(client, location):
    client.authenticate(Handler("arrow", "flight"))
    (identity,) = client.do_action("")
    assert identity.body == b"arrow", identity.body


def check_with_a_wrong_password(client, location):
    with raises(flight.FlightUnauthenticatedError):
        client.authenticate(Handler("arrow", "plane"))
