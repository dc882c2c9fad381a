"""middleware: a header comes back, on a call that fails too."""
import pyarrow as pa
import pyarrow.flight as flight
from expect import raises


class Middleware(flight.ClientMiddleware):
    def __init__(self, received):
        self.received = received

    def sending_headers(self):
        return {"x-middleware": ["expected value", "another"]}

    def received_headers(self, headers):
        self.received.extend(headers.get("x-middleware", []))


class Factory(flight.ClientMiddlewareFactory):
    def __init__(self):
        self.received = []

    def start_call(self, info):
        return Middleware(self.received)


def check_on_failing_and_on_passing_calls(client, location):
    factory = Factory()
    with flight.connect(location, middleware=[factory]) as client:
        with raises(flight.FlightServerError, "success"):
            client.get_flight_info(flight.FlightDescriptor.for_command(b""))
        assert factory.received == ["expected value", "another"], factory.received
        factory.received.clear()
        info = client.get_flight_info(flight.FlightDescriptor.for_command(b"success"))
        assert factory.received == ["expected value", "another"], factory.received
        assert info.schema == pa.schema([])
        assert info.endpoints[0].locations == [flight.Location("grpc+tcp://localhost:10010")]
