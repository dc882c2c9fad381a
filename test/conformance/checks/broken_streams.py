"""Streams that do not keep what they promise."""
import pyarrow as pa
import pyarrow.flight as flight
from expect import raises


def check_batch_of_another_schema(client):
    reader = client.do_get(flight.Ticket(b"depths"))
    reader.read_chunk()
    with raises(flight.FlightInternalError, "schema"):
        reader.read_chunk()
