"""Messages that are too large, on a server that takes and sends 1 MiB: large.py LOCATION LOCATION"""
import mmap

import compressed_calls
import pyarrow as pa
import pyarrow.flight as flight
from expect import raises

OVER_PROTOBUF = (1 << 31) + 1
DESCRIPTOR = flight.FlightDescriptor.for_command(b"x")


def zeros(size):
    """That many bytes that take no memory until somebody reads them."""
    return memoryview(mmap.mmap(-1, size))


def check_metadata_that_the_client_cannot_send(client, location):
    for start in (lambda: client.do_put(DESCRIPTOR, pa.schema([]))[0], lambda: client.do_exchange(DESCRIPTOR)[0]):
        with raises(pa.ArrowCapacityError, "app_metadata size overflow"):
            with start() as writer:
                writer.write_metadata(zeros(OVER_PROTOBUF))


def check_metadata_that_the_server_does_not_take(client, location):
    for start in (lambda: client.do_put(DESCRIPTOR, pa.schema([])), lambda: client.do_exchange(DESCRIPTOR)):
        with raises(pa.ArrowInvalid, "larger than max"):
            with start()[0] as writer:
                writer.write_metadata(bytes(2 << 20))


def check_descriptor_that_the_server_does_not_take(client, location):
    descriptor = flight.FlightDescriptor.for_command(bytes(2 << 20))
    for call in (lambda: client.get_flight_info(descriptor), lambda: client.do_put(descriptor, pa.schema([]))[0].close(), lambda: client.do_exchange(descriptor)[0].close()):
        with raises(pa.ArrowInvalid, "larger than max"):
            call()


def check_metadata_that_the_server_cannot_send(client, location):
    with raises(pa.ArrowInvalid, "1048576"):
        client.do_get(flight.Ticket(b"")).read_all()
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(b"send"))
    with raises(pa.ArrowInvalid, "1048576"):
        with writer:
            reader.read_all()


def check_the_limit_holds_for_what_is_decompressed(_, location):
    with compressed_calls.connect(location) as client, raises(pa.ArrowInvalid, "larger than max"):
        client.get_flight_info(flight.FlightDescriptor.for_command(bytes(2 << 20)))


def check_the_connection_is_good_after_all(client, location):
    writer, _ = client.do_put(DESCRIPTOR, pa.schema([]))
    with writer:
        writer.write_metadata(b"x" * 1000)
