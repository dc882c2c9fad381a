"""What is put comes back, whichever way the server streams it."""
import pyarrow as pa
import pyarrow.flight as flight
from expect import raises, read

WAYS = "batches", "whole", "reader"
NUMBERS = pa.table({"n": pa.array(range(10_000), pa.int64())})
WORDS = pa.table({"word": pa.array(["ebb", "flow", "slack", "ebb", None], pa.dictionary(pa.int64(), pa.string())), "n": [1, 2, 3, 4, 5]})


def put(client, table, options=None, **kwargs):
    writer, _ = client.do_put(flight.FlightDescriptor.for_path("one", "two"), table.schema, options)
    with writer:
        writer.write_table(table, **kwargs)


def same(got, expected):
    got.validate(full=True)
    assert got.schema.equals(expected.schema, check_metadata=True), f"expected {expected.schema}, got {got.schema}"
    assert got.unify_dictionaries().equals(expected.unify_dictionaries()), f"expected {expected}, got {got}"


def back(client, table, way, **kwargs):
    put(client, table, **kwargs)
    same(read(client, way), table)


def check_batches(client):
    back(client, NUMBERS, "batches")


def check_batches_with_dictionary(client):
    back(client, WORDS, "batches")


def check_whole_table(client):
    back(client, NUMBERS, "whole")


def check_whole_table_with_dictionary(client):
    back(client, WORDS, "whole")


def check_record_batch_reader(client):
    back(client, NUMBERS, "reader")


def check_record_batch_reader_with_dictionary(client):
    back(client, WORDS, "reader")


def check_descriptor_and_rows_arrive(client):
    put(client, NUMBERS, max_chunksize=999)
    info = client.get_flight_info(flight.FlightDescriptor.for_path("any"))
    assert info.total_records == NUMBERS.num_rows
    assert info.descriptor.path == [b"one", b"two"], info.descriptor
    assert info.schema == NUMBERS.schema


def check_large_message(client):
    rows = 10 << 20  # 80 MiB in one message of the client's, where gRPC alone takes 4
    back(client, pa.table({"n": pa.array(range(rows), pa.int64())}), "reader", max_chunksize=rows)


def check_large_batch_is_cut(client):
    """One batch of 80 MiB of the service's goes out in messages of 2 MiB, and one below 4 MiB, which is what most clients take."""
    rows = 10 << 20
    numbers = pa.table({"n": pa.array(range(rows), pa.int64())})
    put(client, numbers, max_chunksize=rows)
    batches = [chunk.data for chunk in client.do_get(flight.Ticket(b"whole"))]
    sizes = sorted(b.nbytes for b in batches)
    assert sizes[-1] < 4 << 20 and sizes[-2] <= 2 << 20, sizes[-2:]
    same(pa.Table.from_batches(batches), numbers)


def check_write_options(client):
    for options in (
        {"compression": "lz4"}, {"compression": "zstd"}, {"metadata_version": pa.ipc.MetadataVersion.V4},
        {"allow_64bit": True}, {"use_threads": False}, {"unify_dictionaries": True}, {"emit_dictionary_deltas": True},
    ):
        for table in (NUMBERS, WORDS):
            back(client, table, "reader", options=flight.FlightCallOptions(write_options=pa.ipc.IpcWriteOptions(**options)))


def check_empty_table(client):
    for table in (NUMBERS.slice(0, 0), pa.table({})):
        back(client, table, "reader")


def check_nothing_was_put(client):
    """A put that ends with its schema is a table without rows."""
    writer, _ = client.do_put(flight.FlightDescriptor.for_path("a"), NUMBERS.schema)
    writer.close()
    same(read(client, "reader"), NUMBERS.slice(0, 0))
