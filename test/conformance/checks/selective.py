"""Middleware that refuses calls."""
import json

import pyarrow as pa
import pyarrow.flight as flight
from expect import raises
from headers import Following


def check_reject(client, location):
    with raises(pa.ArrowNotImplementedError):  # let through, to a service that has none
        client.list_actions()
    with raises(flight.FlightUnauthenticatedError, "x-pass"):
        list(client.do_action("greeting"))
    with raises(flight.FlightUnauthenticatedError, "x-pass"):
        list(client.do_action("greeting", flight.FlightCallOptions(headers=[(b"x-pass", b"wrong")])))
    with flight.connect(location, middleware=[Following({"x-pass": "harbour"})]) as passing:
        (result,) = passing.do_action("greeting")
        assert json.loads(result.body.to_pybytes()) == "passed with harbour"


def check_reject_of_each_method(client, location):
    descriptor, schema = flight.FlightDescriptor.for_command(b""), pa.schema([])
    for call in (
        lambda: list(client.list_flights()), lambda: client.get_flight_info(descriptor), lambda: client.do_get(flight.Ticket(b"")),
        lambda: client.do_put(descriptor, schema)[0].close(), lambda: client.do_exchange(descriptor)[0].close(), lambda: list(client.do_action("greeting")),
    ):
        with raises(flight.FlightUnauthenticatedError, "x-pass"):
            call()
