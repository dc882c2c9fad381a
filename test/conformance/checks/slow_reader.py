"""Reads one batch of "large", says so, and reads the rest when a line comes: slow_reader.py LOCATION"""
import sys

import pyarrow.flight as flight

reader = flight.connect(sys.argv[1]).do_get(flight.Ticket(b"large"))
first = reader.read_chunk().data
assert first.nbytes < 4 << 20, f"expected messages of less than 4 MiB, got {first.nbytes} bytes"
print("reading", flush=True)
sys.stdin.readline()
print(first.num_rows + reader.read_all().num_rows, "rows", flush=True)
