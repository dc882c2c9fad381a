"""Chunks that hold nothing."""
import pyarrow.flight as flight
from expect import equal, raises, read
from tables import DEPTHS


def check_empty_chunks_are_passed_over(client):
    equal(read(client, "at last"), DEPTHS)


def check_nothing_but_empty_chunks_is_an_error(client):
    with raises(flight.FlightInternalError, "empty"):
        read(client, "for ever")
