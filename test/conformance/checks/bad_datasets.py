"""A dataset that cannot be read does not keep the others from being served."""
import pyarrow.flight as flight
from expect import raises, read


def check_the_rest_is_served(client):
    assert read(client, "good").to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    assert [i.descriptor.path[0] for i in client.list_flights()] == [b"good"]


def check_reading_one_tells_what_is_wrong(client):
    with raises(flight.FlightUnavailableError, '"wide"', "expected 2 columns, got 3"):
        read(client, "wide")
    with raises(flight.FlightUnavailableError, "absent", "create it"):
        client.get_flight_info(flight.FlightDescriptor.for_path("no-map"))
