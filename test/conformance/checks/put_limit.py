"""A client that bounds what it sends."""
import pyarrow as pa
import pyarrow.flight as flight
from expect import raises, read

LIMIT = 4096


def connect(location):
    return flight.connect(location, write_size_limit_bytes=LIMIT)


def check_do_put_limit(client):
    batch = pa.record_batch({"n": pa.array(range(768), pa.int64())})  # 6 KiB
    writer, _ = client.do_put(flight.FlightDescriptor.for_path(""), batch.schema)
    with writer:
        try:
            writer.write_batch(batch)
        except flight.FlightWriteSizeExceededError as e:
            assert e.limit == LIMIT and e.actual > LIMIT, e
        else:
            raise AssertionError("a batch above the limit was sent")
        for half in batch.slice(0, 384), batch.slice(384):
            writer.write_batch(half)
    assert read(client, "reader") == pa.Table.from_batches([batch])
