"""Runs the checks of a module and prints a JSON object for each: run.py MODULE LOCATION [ARGUMENT...]

A check is a function check_* of the module; it is called with a client and the arguments, and fails by raising an exception. A module that
wants another client than flight.connect(LOCATION) has a function connect."""
import importlib
import json
import sys
import traceback

import pyarrow.flight as flight

module, location, *arguments = sys.argv[1:]
checks = importlib.import_module(module)
connect = getattr(checks, "connect", flight.connect)
for name, check in list(vars(checks).items()):
    if not name.startswith("check_"):
        continue
    failure = ""
    with connect(location) as client:
        try:
            check(client, *arguments)
        except Exception:
            failure = traceback.format_exc()
    print(json.dumps({"name": name.removeprefix("check_"), "failure": failure}), flush=True)
