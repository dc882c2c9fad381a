"""ordered: endpoints whose order matters, and the same without."""
import pyarrow as pa
import pyarrow.flight as flight
from expect import equal


def check_ordered(client, location):
    info = client.get_flight_info(flight.FlightDescriptor.for_command(b"ordered"))
    assert info.ordered is True
    assert all(e.locations == [] for e in info.endpoints)
    tables = [client.do_get(e.ticket).read_all() for e in info.endpoints]
    equal(pa.concat_tables(tables).combine_chunks(), pa.table({"number": pa.array([1, 2, 3, 10, 20, 30, 100, 200, 300], pa.int32())}))


def check_not_ordered(client, location):
    assert client.get_flight_info(flight.FlightDescriptor.for_command(b"any")).ordered is False
