"""A server that implements nothing, with middleware on each side that records."""
import pyarrow as pa
import pyarrow.flight as flight
from expect import raises
from headers import Following


def check_every_method(_, location):
    descriptor, following = flight.FlightDescriptor.for_command(b""), Following()
    with flight.connect(location, middleware=[following]) as client:
        for call in (
            lambda: list(client.list_flights()), lambda: client.get_flight_info(descriptor), lambda: client.get_schema(descriptor),
            lambda: client.do_get(flight.Ticket(b"")), lambda: client.do_put(descriptor, pa.schema([]))[0].close(), lambda: list(client.do_action("")),
            lambda: list(client.list_actions()), lambda: client.do_exchange(descriptor)[0].close(),
        ):
            with raises(pa.ArrowNotImplementedError):
                call()
    m = flight.FlightMethod
    assert following.methods == [m.LIST_FLIGHTS, m.GET_FLIGHT_INFO, m.GET_SCHEMA, m.DO_GET, m.DO_PUT, m.DO_ACTION, m.LIST_ACTIONS, m.DO_EXCHANGE], following.methods
    assert len(following.ended) == 8 and None not in following.ended, following.ended
