"""location:reuse_connection: the endpoint says that it is read where its FlightInfo was got."""
import pyarrow.flight as flight


def check_reuse_connection(client, location):
    info = client.get_flight_info(flight.FlightDescriptor.for_command(b"reuse"))
    (endpoint,) = info.endpoints
    assert [e.uri for e in endpoint.locations] == [b"arrow-flight-reuse-connection://?"], endpoint.locations
    assert client.do_get(endpoint.ticket).read_all().to_pydict() == {"number": [1]}
