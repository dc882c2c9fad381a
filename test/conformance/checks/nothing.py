"""A service that answers with nil where it should answer with something."""
import pyarrow.flight as flight
from expect import raises

DESCRIPTOR = flight.FlightDescriptor.for_path("a")


def check_each_method(client):
    for call in (
        lambda: list(client.list_flights()), lambda: client.get_flight_info(DESCRIPTOR), lambda: client.do_get(flight.Ticket(b"")),
        lambda: list(client.list_actions()),
    ):
        with raises(flight.FlightInternalError, "the service answered"):
            call()
    with raises(OSError, "the service answered"):
        client.get_schema(DESCRIPTOR)
