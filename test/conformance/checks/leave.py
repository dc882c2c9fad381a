"""Ends the interpreter with calls open: leave.py LOCATION"""
import sys

import pyarrow as pa
import pyarrow.flight as flight

client = flight.connect(sys.argv[1])
reader = client.do_get(flight.Ticket(b"sending"))
reader.read_chunk()
writer, answers = client.do_put(flight.FlightDescriptor.for_command("after all"), pa.schema([]))  # pyarrow waits for the end of these
writer.done_writing()
print("leaving")
