"""app_metadata_flight_info_endpoint: metadata of a FlightInfo and of its endpoint."""
import pyarrow.flight as flight


def check_app_metadata(client, location):
    for command in (b"foobar", b"\x00\xff", b""):
        info = client.get_flight_info(flight.FlightDescriptor.for_command(command))
        assert info.app_metadata == command, info.app_metadata
        assert [e.app_metadata for e in info.endpoints] == [command], info.endpoints
