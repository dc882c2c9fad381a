"""More than 2 GiB of text in one column arrive: large_text.py LOCATION"""
import functools

import pyarrow as pa
import pyarrow.flight as flight

CHUNKS, ROWS, LENGTH = 34, 1000, 64 << 10


@functools.cache
def letter(i):
    return pa.array([chr(ord("a") + i) * LENGTH] * ROWS)


def values(chunk):
    """One of the chunks that the column is made of: some, over and over."""
    return letter(chunk % 3)


def arrives(client, name, type):
    reader = client.do_get(flight.Ticket(name))
    assert reader.schema.field("text").type == type, reader.schema
    row = 0
    for received in reader:
        column = received.data.column(0).cast(pa.string())
        while len(column):
            chunk, offset = divmod(row, ROWS)
            part = column.slice(0, ROWS - offset)
            assert part.equals(values(chunk).slice(offset, len(part))), f"other text at rows {row} to {row + len(part)}"
            row, column = row + len(part), column.slice(len(part))
    assert row == CHUNKS * ROWS, f"expected {CHUNKS * ROWS} rows, got {row}"


def check_one_record_batch(client):
    arrives(client, b"batch", pa.large_string())


def check_one_row_group(client):
    arrives(client, b"group", pa.string())
