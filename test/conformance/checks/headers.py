"""Headers in both directions, by middleware and by call options."""
import base64
import json

import pyarrow as pa
import pyarrow.flight as flight
from expect import raises

SENT = {"x-text": ["ebb", "flow"], "x-binary-bin": [b"\x00", b"\xff\x01"], "X-Mixed-Case": ["tide"], b"x-Other-MIXED": ["neap"]}
RECEIVED = {"x-text": ["ebb", "flow"], "x-binary-bin": [b"\x00", b"\xff\x01"], "x-mixed-case": ["tide"], "x-other-mixed": ["neap"]}


class Following(flight.ClientMiddlewareFactory):
    """Sends headers, and keeps what it sees of calls."""

    def __init__(self, sent=None):
        super().__init__()
        self.sent, self.received, self.ended, self.methods = sent or {}, [], [], []

    def start_call(self, info):
        self.methods.append(info.method)
        following = self

        class Middleware(flight.ClientMiddleware):
            def sending_headers(self):
                return following.sent

            def received_headers(self, headers):
                following.received.append(headers)

            def call_completed(self, exception):
                following.ended.append(exception)

        return Middleware()

    def headers(self):
        """All headers and trailers, together."""
        return {key.lower(): values for headers in self.received for key, values in headers.items()}


def seen(body):
    """The headers that the server saw."""
    values = json.loads(body.to_pybytes())
    return {k: [base64.b64decode(v) if k.endswith("-bin") else base64.b64decode(v).decode() for v in vs] for k, vs in values.items()}


def includes(headers, expected):
    for key, values in expected.items():
        assert headers.get(key) == values, f"{key}: expected {values}, got {headers.get(key)}"


def check_middleware_sends_and_receives(_, location):
    following = Following(SENT)
    with flight.connect(location, middleware=[following]) as client:
        (result,) = client.do_action("headers")
        includes(seen(result.body), RECEIVED)
        includes(following.headers(), RECEIVED)
        assert following.ended == [None]


def check_headers_come_with_errors_too(_, location):
    following = Following()
    with flight.connect(location, middleware=[following]) as client:
        with raises(flight.FlightUnavailableError, "asked to fail"):
            list(client.do_action("fail"))
        includes(following.headers(), RECEIVED)
        (error,) = following.ended
        assert isinstance(error, flight.FlightUnavailableError), error


def check_call_options_send_headers(client, _):
    options = flight.FlightCallOptions(headers=[(b"x-one", b"1"), (b"x-two", b"2"), (b"x-two", b"two"), (b"x-three-bin", b"\x00\xff")])
    (result,) = client.do_action("headers", options)
    includes(seen(result.body), {"x-one": ["1"], "x-two": ["2", "two"], "x-three-bin": [b"\x00\xff"]})


def check_headers_and_trailers_of_the_service(_, location):
    following = Following()
    with flight.connect(location, middleware=[following]) as client:
        client.get_flight_info(flight.FlightDescriptor.for_path(""))
        includes(following.headers(), {"x-ahead": ["text"], "x-ahead-bin": [b"\x00binary\xff"], "x-behind": ["text"], "x-behind-bin": [b"\x00binary\xff"]})


def check_service_finds_the_middleware(client, _):
    (result,) = client.do_action("greeting")
    assert json.loads(result.body.to_pybytes()) == "moin"


def check_many_headers(client, _):
    headers = [(b"x-%d" % i, b"v" * 100) for i in range(100)]
    (result,) = client.do_action("headers", flight.FlightCallOptions(headers=headers))
    includes(seen(result.body), {f"x-{i}": ["v" * 100] for i in range(100)})


def check_too_many_headers_are_refused(client, location):
    headers = [(b"x-%d" % i, b"v" * 1000) for i in range(100)]
    with flight.connect(location) as sending:
        try:
            list(sending.do_action("headers", flight.FlightCallOptions(headers=headers)))
        except (flight.FlightError, pa.ArrowException):
            pass
        else:
            raise AssertionError("100 KB of headers were taken")
    assert len(list(client.do_action("headers"))) == 1
