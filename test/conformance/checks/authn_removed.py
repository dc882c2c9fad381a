"""A user is removed: authn_removed.py LOCATION USERS_FILE. Runs once, prints the seconds until the first refusal."""
import os
import sys
import time

import pyarrow.flight as flight
from authn_basic import PASSWORD, USER, who

location, users = sys.argv[1:]
with flight.connect(location) as client:
    options = flight.FlightCallOptions(headers=[client.authenticate_basic_token(USER, PASSWORD)])
    who(client, options)
    with open(users + ".new", "w") as f:
        f.write("# nobody\n")
    os.replace(users + ".new", users)
    removed = time.monotonic()
    while True:
        try:
            who(client, options)
        except flight.FlightUnauthenticatedError:
            break
        if time.monotonic() - removed > 30:
            sys.exit("the user is still let in after 30 s")
    print(time.monotonic() - removed)
    try:
        client.authenticate_basic_token(USER, PASSWORD)
    except flight.FlightUnauthenticatedError:
        sys.exit(0)
    sys.exit("the user can log in")
