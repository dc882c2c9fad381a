"""DoExchange in its forms."""
import pyarrow as pa
import pyarrow.flight as flight
from expect import equal, raises
from tables import TIDES, WINDS

NUMBERS = pa.table({"n": pa.array(range(10_000), pa.int64())})


def start(client, command, options=None):
    return client.do_exchange(flight.FlightDescriptor.for_command(command), options)


def check_get(client, *_):
    writer, reader = start(client, "get")
    with writer:
        equal(reader.read_all(), NUMBERS)


def check_put(client, *_):
    batches = NUMBERS.to_batches(max_chunksize=512)
    writer, reader = start(client, "put")
    with writer:
        writer.begin(NUMBERS.schema)
        for batch in batches:
            writer.write_batch(batch)
        writer.done_writing()
        chunk = reader.read_chunk()
        assert chunk.data is None and chunk.app_metadata == b"%d" % len(batches), chunk
        assert reader.stats.num_messages == 0  # metadata alone is no IPC message


def check_put_without_schema(client, *_):
    writer, reader = start(client, "put")
    with writer:
        writer.done_writing()
        assert reader.read_chunk().app_metadata == b"0"


def check_echo_of_metadata_then_data(client, *_):
    batches = NUMBERS.to_batches(max_chunksize=512)
    writer, reader = start(client, "echo")
    with writer:
        for i in range(10):  # before there is a schema
            writer.write_metadata(b"%d" % i)
            chunk = reader.read_chunk()
            assert chunk.data is None and chunk.app_metadata == b"%d" % i, chunk
        writer.begin(NUMBERS.schema)
        for i, batch in enumerate(batches):
            writer.write_batch(batch)
            assert reader.schema == NUMBERS.schema
            chunk = reader.read_chunk()
            assert chunk.data == batch and chunk.app_metadata is None, chunk
            assert reader.stats.num_record_batches == i + 1
        for i, batch in enumerate(batches):
            writer.write_with_metadata(batch, b"%d" % i)
            chunk = reader.read_chunk()
            assert chunk.data == batch and chunk.app_metadata == b"%d" % i, chunk
        for i in range(10):  # after the data
            writer.write_metadata(b"%d" % i)
            chunk = reader.read_chunk()
            assert chunk.data is None and chunk.app_metadata == b"%d" % i, chunk
        assert reader.stats.num_record_batches == 2 * len(batches)


def check_echo_of_nothing(client, *_):
    writer, reader = start(client, "echo")
    with writer:
        writer.done_writing()
        try:
            chunk = reader.read_chunk()
        except StopIteration:
            return
        raise AssertionError(chunk)


def check_echo_by_options(client, *_):
    for options in (
        {"metadata_version": pa.ipc.MetadataVersion.V4}, {"compression": "lz4"}, {"compression": "zstd"}, {"metadata_version": pa.ipc.MetadataVersion.V4, "compression": None},
    ):
        options = pa.ipc.IpcWriteOptions(**options)
        writer, reader = start(client, "echo")
        with writer:
            writer.begin(NUMBERS.schema, options=options)
            for batch in NUMBERS.to_batches(max_chunksize=512):
                writer.write_batch(batch)
                assert reader.schema == NUMBERS.schema
                chunk = reader.read_chunk()
                assert chunk.data == batch and chunk.app_metadata is None, chunk


def check_transform(client, *_):
    columns = {name: pa.array(range(first, first + 1024), pa.int64()) for first, name in enumerate("abc")}
    writer, reader = start(client, "sum")
    with writer:
        writer.begin(pa.schema([(name, pa.int64()) for name in columns]))
        writer.write_table(pa.table(columns))
        writer.done_writing()
        equal(reader.read_all(), pa.table({"sum": pa.array(range(3, 3 + 3 * 1024, 3), pa.int64())}))


def check_transform_of_what_is_wrong(client, *_):
    writer, reader = start(client, "sum")
    with raises(pa.ArrowInvalid, '"harbour"'):
        with writer:
            writer.begin(TIDES.schema)
            writer.write_table(TIDES)
            writer.done_writing()
            reader.read_all()


def check_unknown_command(client, *_):
    for descriptor in (flight.FlightDescriptor.for_command("scuttle"), flight.FlightDescriptor.for_path("scuttle")):
        with raises(pa.ArrowInvalid, "scuttle"):
            writer, reader = client.do_exchange(descriptor)
            reader.read_chunk()


def check_server_that_answers_nothing(client, *_):
    writer, reader = start(client, "silence")
    writer.done_writing()
    writer.close()


def winds(client, deltas):
    """Sends the dictionaries, with deltas or without, and gives what the reader counted of what came back."""
    writer, reader = start(client, "winds")
    with writer:
        writer.begin(WINDS.schema, options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=deltas))
        writer.write_table(WINDS)
        writer.done_writing()
        equal(reader.read_all(), WINDS)
    return reader.stats
