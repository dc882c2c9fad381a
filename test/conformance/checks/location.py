"""Forms of a location: location.py LOCATION LOCATION"""
import pyarrow.flight as flight
from expect import equal, read
from tables import DEPTHS, WINDS


def check_do_get(client, location):
    equal(read(client, "depths"), DEPTHS)
    reader = client.do_get(flight.Ticket(b"winds"))
    assert reader.schema == WINDS.schema
    equal(reader.read_all(), WINDS)


def check_location_object(_, location):
    with flight.connect(flight.Location(location)) as client:
        equal(read(client, "depths"), DEPTHS)


def check_host_and_port(_, location):
    if location.startswith("grpc://"):
        host, port = location.removeprefix("grpc://").rsplit(":", 1)
        with flight.connect((host, int(port))) as client:
            equal(read(client, "depths"), DEPTHS)
