"""expiration_time:cancel_flight_info: nothing is read of what has been cancelled."""
import pyarrow as pa
from expect import raises
from scenarios.expiration_time import cancel, endpoints

CANCELLED, NOT_CANCELLABLE = 1, 3


def check_cancel(client, location):
    info, made = endpoints(client)
    assert cancel(client, info) == CANCELLED
    for endpoint in made:
        with raises(pa.ArrowInvalid, "cancelled"):
            client.do_get(endpoint.ticket).read_all()
    assert cancel(client, info) == NOT_CANCELLABLE
