"""expiration_time:list_actions: the server says that it can cancel and renew."""


def check_list_actions(client, location):
    assert sorted(a.type for a in client.list_actions()) == ["CancelFlightInfo", "RenewFlightEndpoint"]
