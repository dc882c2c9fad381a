"""What there is to know of flights: flights.py LOCATION EXPIRES_IN_NS CRITERIA"""
import asyncio

import pyarrow as pa
import pyarrow.flight as flight
from expect import equal
from tables import TIDES

PATH = flight.FlightDescriptor.for_path("north sea", "depths")


def complete(info, descriptor, expires):
    """The flight tells everything that Flights tells."""
    assert info.schema == TIDES.schema and info.descriptor == descriptor, info
    assert (info.total_records, info.total_bytes, info.ordered) == (3, 1 << 40, True), info
    assert info.app_metadata == b"the flight's \x00 own"
    anywhere, there = info.endpoints
    assert (anywhere.ticket, anywhere.locations, anywhere.expiration_time, anywhere.app_metadata) == (flight.Ticket(b"anywhere"), [], None, b""), anywhere
    assert there.ticket == flight.Ticket(b"there") and there.app_metadata == b"the endpoint's \x00 own", there
    assert there.expiration_time.type == pa.timestamp("ns", "UTC") and there.expiration_time.value == int(expires), there
    uris = "arrow-flight-reuse-connection://?", "grpc://localhost:5005", "s3://bucket/tides.parquet", "https://example.com/tides.parquet"
    assert there.locations == [flight.Location(uri) for uri in uris], there.locations
    assert [l.uri.decode() for l in there.locations] == list(uris), there.locations


def check_get_flight_info(client, expires, criteria):
    for descriptor in PATH, flight.FlightDescriptor.for_command(b"\x00\xff"), flight.FlightDescriptor.for_path("a", "b", "ü"):
        complete(client.get_flight_info(descriptor), descriptor, expires)


def check_get_flight_info_asynchronously(client, expires, criteria):
    assert client.supports_async
    complete(asyncio.run(client.as_async().get_flight_info(PATH)), PATH, expires)


def check_get_schema(client, expires, criteria):
    assert client.get_schema(PATH).schema == TIDES.schema


def check_list_flights(client, expires, criteria):
    assert list(client.list_flights()) == []
    assert list(client.list_flights(b"other")) == []
    by_path, by_command = client.list_flights(criteria.encode())
    complete(by_path, PATH, expires)
    complete(by_command, flight.FlightDescriptor.for_command(b"SELECT \x00 depth"), expires)


def check_unknown_totals(client, expires, criteria):
    info = client.get_flight_info(flight.FlightDescriptor.for_path("unknown"))
    assert (info.total_records, info.total_bytes, info.ordered, info.app_metadata) == (-1, -1, False, b""), info
    assert info.endpoints == [] and info.schema == pa.schema([])


def check_endpoints_are_read(client, expires, criteria):
    for endpoint in client.get_flight_info(PATH).endpoints:
        equal(client.do_get(endpoint.ticket).read_all(), TIDES)


def check_messages_survive_both_languages(client, expires, criteria):
    endpoints = [
        flight.FlightEndpoint(b"", ["grpc://test"]),
        flight.FlightEndpoint(b"\x00t", ["grpc://test", flight.Location.for_grpc_tls("localhost", 5005)], pa.scalar(int(expires), pa.timestamp("ns")), b"\xff"),
    ]
    for message in (
        flight.Action("sail", b"\x00body"), flight.Ticket("ticket"), flight.Result(b"\xffresult"), flight.BasicAuth("name", "pass:word"),
        flight.SchemaResult(TIDES.schema), flight.FlightDescriptor.for_command("command"), flight.FlightDescriptor.for_path("a", "b.arrow"),
        flight.FlightInfo(TIDES.schema, PATH, endpoints, 1, 42, True, b"\x00info"), flight.FlightInfo(pa.schema([]), PATH, []), *endpoints,
    ):
        (result,) = client.do_action((type(message).__name__, message.serialize()))
        got = type(message).deserialize(result.body.to_pybytes())
        assert got == message, f"expected {message}, got {got}"
