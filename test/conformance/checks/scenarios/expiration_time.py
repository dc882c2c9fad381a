"""What the checks of expiration_time:* have in common."""
import pyarrow.flight as flight
from protobuf import fields, message


def endpoints(client):
    """The FlightInfo, and its endpoints: one without an end, two that expire after some seconds."""
    info = client.get_flight_info(flight.FlightDescriptor.for_command(b"expiration_time"))
    assert [e.expiration_time is not None for e in info.endpoints] == [False, True, True], info
    return info, info.endpoints


def cancel(client, info):
    """The status by which the server answers CancelFlightInfo, as pyarrow serializes the FlightInfo."""
    (result,) = client.do_action(("CancelFlightInfo", message((1, info.serialize()))))
    return dict(fields(result.body.to_pybytes()))[1]


def renew(client, endpoint):
    (result,) = client.do_action(("RenewFlightEndpoint", message((1, endpoint.serialize()))))
    return flight.FlightEndpoint.deserialize(result.body.to_pybytes())
