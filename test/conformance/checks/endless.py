"""Calls that only the client ends."""
import signal
import threading
import time

import pyarrow as pa
import pyarrow.flight as flight
from expect import raises


def check_cancel_before_reading(client):
    reader = client.do_get(flight.Ticket(b"waiting"))
    reader.cancel()
    with raises(flight.FlightCancelledError):
        while True:  # a batch may have come already
            reader.read_chunk()


def check_cancel_from_another_thread(client):
    reader, first, caught = client.do_get(flight.Ticket(b"waiting")), threading.Event(), []

    def read():
        reader.read_chunk()
        first.set()
        try:
            reader.read_chunk()
        except Exception as e:
            caught.append(e)

    thread = threading.Thread(target=read)
    thread.start()
    first.wait()
    reader.cancel()
    thread.join()
    (error,) = caught
    assert isinstance(error, flight.FlightCancelledError), error


def check_cancel_in_the_middle_of_much(client):
    reader = client.do_get(flight.Ticket(b"sending"))
    for _ in range(1000):
        reader.read_chunk()
    reader.cancel()
    with raises(flight.FlightCancelledError):
        while True:
            reader.read_chunk()


def check_reader_that_is_dropped(client):
    reader = client.do_get(flight.Ticket(b"sending"))
    reader.read_chunk()
    del reader


def check_timeouts(client):
    soon, descriptor = flight.FlightCallOptions(timeout=0.2), flight.FlightDescriptor.for_command("x")
    for call in (
        lambda: client.do_get(flight.Ticket(b"silent"), soon).read_all(),
        lambda: client.do_get(flight.Ticket(b"waiting"), soon).read_all(),
        lambda: client.do_get(flight.Ticket(b"sending"), soon).read_all(),
        lambda: client.do_put(descriptor, pa.schema([]), soon)[0].close(),
    ):
        with raises(flight.FlightTimedOutError):
            call()


def interrupt(read):
    """SIGINT ends a read; pyarrow looks for it between messages."""
    def send():
        time.sleep(0.2)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=send)
    try:
        thread.start()
        read()
    except (KeyboardInterrupt, pa.ArrowCancelled):
        pass
    else:
        raise AssertionError("the stream has ended by itself")
    finally:
        thread.join()


def check_interrupt_of_do_get(client):
    interrupt(client.do_get(flight.Ticket(b"sending")).read_all)


def check_interrupt_of_do_exchange(client):
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command("x"))
    interrupt(reader.read_all)
    try:
        writer.close()
    except (KeyboardInterrupt, flight.FlightCancelledError):
        pass
