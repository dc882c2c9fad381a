"""poll_flight_info: pyarrow has no such call; it parses what comes by gRPC."""
import grpc
import pyarrow.flight as flight
from protobuf import double, fields


def poll(location, descriptor):
    with grpc.insecure_channel(location.removeprefix("grpc://")) as channel:
        answer = channel.unary_unary("/arrow.flight.protocol.FlightService/PollFlightInfo")(descriptor)
    return dict(fields(answer))


INFO, DESCRIPTOR, PROGRESS, EXPIRES = 1, 2, 3, 4


def check_a_query_that_runs_and_then_has_ended(client, location):
    begun = poll(location, flight.FlightDescriptor.for_command(b"heavy query").serialize())
    assert begun[PROGRESS] == double(0.1) and EXPIRES in begun, begun
    assert len(flight.FlightInfo.deserialize(begun[INFO]).endpoints) == 1

    ended = poll(location, begun[DESCRIPTOR])
    assert ended[PROGRESS] == double(1) and DESCRIPTOR not in ended and EXPIRES not in ended, ended
    info = flight.FlightInfo.deserialize(ended[INFO])
    assert info.descriptor == flight.FlightDescriptor.for_command(b"poll"), info.descriptor
