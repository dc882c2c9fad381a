"""Middleware that sends every header back."""
import pyarrow.flight as flight
from headers import Following, includes


def check_arbitrary_headers_come_back(_, location):
    following = Following()
    with flight.connect(location, middleware=[following]) as client:
        options = flight.FlightCallOptions(headers=[(b"x-one", b"1"), (b"x-two", b"2"), (b"x-two", b"two"), (b"x-bin", b"\x00")])
        list(client.do_action("headers", options))
    includes(following.headers(), {"x-one": ["1"], "x-two": ["2", "two"], "x-bin": [b"\x00"]})
