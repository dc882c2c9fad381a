"""Tables that are always the same, from a server that may encode them in other ways than by default."""
import pyarrow as pa
import pyarrow.flight as flight
from expect import equal, raises, read
from tables import DEPTHS, TIDES, WINDS


def check_do_get(client):
    reader = client.do_get(flight.Ticket(b"depths"))
    equal(reader.read_all(), DEPTHS)
    assert reader.stats.num_record_batches == 1, reader.stats


def check_do_get_as_record_batch_reader(client):
    equal(client.do_get(flight.Ticket(b"tides")).to_reader().read_all(), TIDES)


def check_do_get_by_chunks(client):
    (chunk,) = client.do_get(flight.Ticket(b"tides"))
    equal(pa.Table.from_batches([chunk.data]), TIDES)
    assert chunk.app_metadata is None


def check_schema_comes_first(client):
    reader = client.do_get(flight.Ticket(b"winds"))
    assert reader.schema == WINDS.schema
    assert reader.stats.num_messages == 1, reader.stats
    reader.cancel()


def check_dictionaries(client):
    reader = client.do_get(flight.Ticket(b"winds"))
    equal(reader.read_all(), WINDS)
    # The schema, the dictionary, two batches, the dictionary that replaces it, a batch.
    assert reader.stats == pa.ipc.ReadStats(6, 3, 2, 0, 1), reader.stats


def check_ticket_is_what_was_sent(client):
    equal(read(client, "tides"), TIDES)
    with raises(pa.ArrowKeyError, '"tides\\x00"'):
        read(client, "tides\0")


def check_read_options(client):
    level = flight.FlightCallOptions(read_options=pa.ipc.IpcReadOptions(included_fields=[1]))
    equal(client.do_get(flight.Ticket(b"tides"), options=level).read_all(), TIDES.select(["level"]))
    equal(client.do_get(flight.Ticket(b"tides")).read_all(), TIDES)


def check_timeout_that_passes(client):
    options = flight.FlightCallOptions(timeout=60)
    equal(client.do_get(flight.Ticket(b"depths"), options=options).read_all(), DEPTHS)


def check_client_close(client):
    equal(read(client, "depths"), DEPTHS)
    client.close()
    client.close()
    with raises(pa.ArrowInvalid, "closed"):
        read(client, "depths")


def check_cancel(client):
    reader = client.do_get(flight.Ticket(b"depths"))
    reader.cancel()
    with raises(flight.FlightCancelledError):
        reader.read_chunk()
