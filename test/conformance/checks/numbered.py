"""app_metadata on batches, in both directions."""
import threading

import pyarrow as pa
import pyarrow.flight as flight
from expect import equal, raises
from tables import DEPTHS


def check_do_get_by_iterator(client):
    chunks = list(client.do_get(flight.Ticket(b"")))
    assert [c.app_metadata.to_pybytes() for c in chunks] == [b"%d" % i for i in range(5)]
    equal(pa.Table.from_batches([c.data for c in chunks]), DEPTHS)


def check_do_get_by_read_chunk(client):
    reader, chunks = client.do_get(flight.Ticket(b"")), []
    while True:
        try:
            chunks.append(reader.read_chunk())
        except StopIteration:
            break
    iterated = list(client.do_get(flight.Ticket(b"")))
    assert [c.data for c in chunks] == [c.data for c in iterated]
    assert [c.app_metadata.to_pybytes() for c in chunks] == [c.app_metadata.to_pybytes() for c in iterated]


def check_do_get_without_looking_at_metadata(client):
    equal(client.do_get(flight.Ticket(b"")).read_all(), DEPTHS)


def check_do_put_answered_one_by_one(client):
    writer, answers = client.do_put(flight.FlightDescriptor.for_path(""), DEPTHS.schema)
    with writer:
        for i, batch in enumerate(DEPTHS.to_batches(max_chunksize=1)):
            writer.write_with_metadata(batch, b"%d" % i)
            assert answers.read().to_pybytes() == b"%d" % i
    assert answers.read() is None


def check_do_put_read_by_another_thread(client):
    writer, answers = client.do_put(flight.FlightDescriptor.for_path(""), DEPTHS.schema)
    got = []

    def read():
        while (answer := answers.read()) is not None:
            got.append(answer.to_pybytes())

    reader = threading.Thread(target=read)
    reader.start()
    with writer:
        for i, batch in enumerate(DEPTHS.to_batches(max_chunksize=1)):
            writer.write_with_metadata(batch, b"%d" % i)
        writer.done_writing()
        reader.join()
    assert got == [b"%d" % i for i in range(5)], got


def check_do_put_that_is_refused_later(client):
    writer, answers = client.do_put(flight.FlightDescriptor.for_path(""), DEPTHS.schema)
    with raises(pa.ArrowInvalid, '"seven"'):
        with writer:
            writer.write_with_metadata(DEPTHS.to_batches(max_chunksize=1)[0], b"seven")
