"""A handshake with a BasicAuth message: auth_proto.py LOCATION WORDS_OF_THE_REFUSAL"""
import pyarrow.flight as flight
from auth import PASSWORD, USER, by_proto, peer, refused
from expect import raises


def check_without_handshake(client, words):
    refused(client)


def check_right_password(client, words):
    client.authenticate(by_proto(USER, PASSWORD))
    assert peer(client) == USER


def check_wrong_password(client, words):
    with raises(flight.FlightUnauthenticatedError, words):
        client.authenticate(by_proto(USER, "wrong"))
    refused(client)


def check_unknown_user(client, words):
    with raises(flight.FlightUnauthenticatedError):
        client.authenticate(by_proto("pirate", PASSWORD))
    refused(client)
