"""Names and passwords of package authn, each way: authn_basic.py LOCATION LOCATION_OF_ANOTHER_REPLICA

"who" tells the name, the method and the groups of the caller."""
import base64

import pyarrow.flight as flight
from auth import by_proto
from expect import raises

USER, PASSWORD = "ada", "love:lace"
BASIC = f"{USER} basic analysts,system:authenticated"


def who(client, options=None):
    (result,) = client.do_action("who", options) if options else client.do_action("who")
    return result.body.to_pybytes().decode()


def header(value):
    return flight.FlightCallOptions(headers=[(b"authorization", value)])


def basic(name, password):
    return header(b"Basic " + base64.b64encode(f"{name}:{password}".encode()))


def check_basic_token(client, _):
    token = client.authenticate_basic_token(USER, PASSWORD)
    assert token[0] == b"authorization" and token[1].startswith(b"Bearer "), token
    for _ in range(3):
        assert who(client, flight.FlightCallOptions(headers=[token])) == BASIC


def check_basic_token_at_another_replica(client, other):
    token = client.authenticate_basic_token(USER, PASSWORD)
    with flight.connect(other) as second:
        assert who(second, flight.FlightCallOptions(headers=[token])) == BASIC


def check_handshake(client, other):
    client.authenticate(by_proto(USER, PASSWORD))
    assert who(client) == BASIC
    assert len(list(client.list_actions())) == 1


def check_header_on_each_call(client, _):
    assert who(client, basic(USER, PASSWORD)) == BASIC


def check_wrong_passwords(client, _):
    for name, password in ((USER, "wrong"), (USER, ""), ("eve", PASSWORD), ("", "")):
        with raises(flight.FlightUnauthenticatedError, "the name, the password or the token is wrong"):
            client.authenticate_basic_token(name, password)
    with raises(flight.FlightUnauthenticatedError, "the name, the password or the token is wrong"):
        client.authenticate(by_proto(USER, "wrong"))
    with raises(flight.FlightUnauthenticatedError):
        who(client)


def check_bearer(client, _):
    assert who(client, header(b"Bearer made-once")) == "bob bearer system:authenticated"
    for wrong in (b"Bearer made-up", b"Bearer ", b"made-once", b"Negotiate made-once"):
        with raises(flight.FlightUnauthenticatedError):
            who(client, header(wrong))


def check_headers_that_are_not_one(client, _):
    for headers in (
        [(b"authorization", b"Bearer made-once"), (b"authorization", b"Bearer made-once")],
        [(b"authorization-bin", b"Bearer made-once")],
        [(b"authorization", b"Bearer made-once"), (b"auth-token-bin", b"made-once")],
        [(b"auth-token-bin", b"")],
        [(b"authorization", b"Bearer " + b"x" * 100_000)],
    ):
        with raises_any():
            who(client, flight.FlightCallOptions(headers=headers))
    assert who(client, flight.FlightCallOptions(headers=[(b"auth-token-bin", b"made-once")])) == "bob bearer system:authenticated"


class raises_any:
    """A refusal of any class: what gRPC says of 100 KB of headers is its own."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        assert kind is not None and issubclass(kind, (flight.FlightUnauthenticatedError, flight.FlightUnavailableError, flight.FlightServerError,
                                                      flight.FlightInternalError, OSError)), f"expected a refusal, got {error!r}"
        return True


def check_without_credentials(client, _):
    for call in (lambda: who(client), lambda: list(client.list_flights()), lambda: client.do_get(flight.Ticket(b"a")).read_all()):
        with raises(flight.FlightUnauthenticatedError, "expected credentials"):
            call()
