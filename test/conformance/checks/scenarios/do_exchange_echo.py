"""do_exchange:echo: batches and metadata come back as they went."""
import pyarrow as pa
import pyarrow.flight as flight
from expect import raises

SCHEMA = pa.schema([("number", pa.int32())])
BATCHES = [pa.record_batch([pa.array([n, n + 1], pa.int32())], schema=SCHEMA) for n in (1, 3, 5, 7)]


def check_echo(client, location):
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(b"echo"))
    with writer:
        writer.begin(SCHEMA)
        for batch in BATCHES:
            writer.write_batch(batch)
            chunk = reader.read_chunk()
            assert chunk.data.equals(batch) and chunk.app_metadata is None, chunk
        assert reader.schema == SCHEMA
        for number, batch in enumerate(BATCHES):
            writer.write_with_metadata(batch, str(number).encode())
            chunk = reader.read_chunk()
            assert chunk.data.equals(batch) and chunk.app_metadata.to_pybytes() == str(number).encode(), chunk
        writer.write_metadata(b"alone")
        chunk = reader.read_chunk()
        assert chunk.data is None and chunk.app_metadata.to_pybytes() == b"alone", chunk
        writer.done_writing()
        with raises(StopIteration):
            reader.read_chunk()


def check_another_command(client, location):
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(b"other"))
    with raises(pa.ArrowInvalid, "expected the command echo"):
        writer.done_writing()
        reader.read_chunk()
