"""Streams that stay open while certificates rotate: rotating.py LOCATION STREAMS

Each line of stdin is a file of root certificates and a file of others. Then each stream reads on, a new connection that trusts the roots reads
"small", and one that trusts the others has to fail. After the last line, all streams are read to their end; each prints the digest of what it gave."""
import hashlib
import sys

import pyarrow.flight as flight
from expect import raises, read


def pem(path):
    with open(path, "rb") as f:
        return f.read()


class Stream:
    def __init__(self, location, root):
        self.client = flight.connect(location, tls_root_certs=root)
        self.reader = self.client.do_get(flight.Ticket(b"large"))
        self.digest = hashlib.sha256()
        self.rows = 0

    def advance(self):
        """Reads one batch; False at the end."""
        try:
            batch = self.reader.read_chunk().data
        except StopIteration:
            return False
        self.rows += batch.num_rows
        numbers = batch.column(0)
        values = memoryview(numbers.buffers()[1])
        self.digest.update(values[8 * numbers.offset:8 * (numbers.offset + len(numbers))])
        return True


location, count = sys.argv[1], int(sys.argv[2])
streams = []
for line in sys.stdin:
    roots, others = line.split()
    if not streams:
        streams = [Stream(location, pem(roots)) for _ in range(count)]
    for stream in streams:
        assert stream.advance(), "a stream ended before the last rotation: there is too little data"
    with flight.connect(location, tls_root_certs=pem(roots)) as client:
        assert read(client, "small").num_rows == 2
    with flight.connect(location, tls_root_certs=pem(others)) as client, raises(flight.FlightUnavailableError):
        read(client, "small")
    print("well", flush=True)
for stream in streams:
    while stream.advance():
        pass
    print(stream.rows, stream.digest.hexdigest(), flush=True)
