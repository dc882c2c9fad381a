"""A server that comes later: wait_for_available.py HARBOUR LOCATION, where the action "open" at HARBOUR starts the one at LOCATION"""
import threading

import pyarrow.flight as flight
from expect import equal, raises, read
from tables import DEPTHS


def check_wait_for_available(harbour, location):
    with flight.connect(location) as client:
        with raises(flight.FlightUnavailableError):
            client.get_flight_info(flight.FlightDescriptor.for_path("depths"))
        opening = threading.Timer(0.3, lambda: list(harbour.do_action("open")))
        opening.start()
        client.wait_for_available(timeout=60)
        opening.join()
        equal(read(client, "depths"), DEPTHS)
