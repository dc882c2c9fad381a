"""Dictionaries that grow, in both directions: exchange_dictionaries.py LOCATION DELTAS"""
import pyarrow as pa
from exchange import winds


def expected(deltas):
    """The schema, a dictionary, two batches, the longer dictionary, a batch."""
    return pa.ipc.ReadStats(6, 3, 2, 1, 0) if deltas == "deltas" else pa.ipc.ReadStats(6, 3, 2, 0, 1)


def check_client_sends_deltas(client, deltas):
    stats = winds(client, True)
    assert stats == expected(deltas), stats


def check_client_sends_replacements(client, deltas):
    stats = winds(client, False)
    assert stats == expected(deltas), stats
