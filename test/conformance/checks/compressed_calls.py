"""gRPC's own compression, which a client switches on by an option of its channel."""
import pyarrow.flight as flight
from expect import read
from echo import NUMBERS, WORDS, back

GZIP = 2  # grpc_compression_algorithm


def connect(location):
    return flight.connect(location, generic_options=[("grpc.default_compression_algorithm", GZIP), ("grpc.default_compression_level", 2)])


def check_calls_that_grpc_compresses(client):
    for table in NUMBERS, WORDS:
        back(client, table, "reader")
