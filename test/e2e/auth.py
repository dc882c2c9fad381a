"""auth.py LOCATION NAME [CA_FILE]: commands come on standard input, one a line, as JSON; the answer to each is a line of JSON.

{"as": "basic", "user": ..., "password": ...} | {"as": "bearer", "token": ...} | {"as": "nobody"} with "read": DATASET; a "token" that a login gave
is part of the answer, and may be shown again."""
import json
import sys

import pyarrow.flight as flight

location, name = sys.argv[1:3]
tls = {}
if len(sys.argv) > 3:
    with open(sys.argv[3], "rb") as f:
        tls = {"tls_root_certs": f.read(), "override_hostname": name}


def answer(command):
    client = flight.connect(location, **tls, generic_options=[("grpc.use_local_subchannel_pool", 1)])
    headers, out = [], {}
    try:
        if command["as"] == "basic":
            headers = [client.authenticate_basic_token(command["user"], command["password"])]
            out["token"] = headers[0][1].decode().removeprefix("Bearer ")
        elif command["as"] == "bearer":
            headers = [(b"authorization", b"Bearer " + command["token"].encode())]
        options = flight.FlightCallOptions(headers=headers)
        out["listed"] = [i.descriptor.path[0].decode() for i in client.list_flights(options=options)]
        out["read"] = client.do_get(flight.Ticket(command["read"].encode()), options).read_all().to_pydict()
    except Exception as e:  # which one it is, is the answer
        out["failed"] = type(e).__name__
    client.close()
    return out


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
