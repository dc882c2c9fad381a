"""expiration_time:renew_flight_endpoint: a renewed endpoint expires later, and can be read."""
from scenarios.expiration_time import endpoints, renew


def check_renew(client, location):
    _, (_, *expiring) = endpoints(client)
    for number, endpoint in enumerate(expiring, 1):
        renewed = renew(client, endpoint)
        assert renewed.expiration_time.value > endpoint.expiration_time.value, (endpoint, renewed)
        assert renewed.ticket.ticket == endpoint.ticket.ticket + b": renewed (+ 10 seconds)"
        assert client.do_get(renewed.ticket).read_all().to_pydict() == {"number": [number]}
