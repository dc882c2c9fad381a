"""Runs the checks of a module and prints a JSON object for each: run.py MODULE LOCATION [ARGUMENT...]

A check is a function check_* of the module; it is called with a client and the arguments, and fails by raising an exception."""
import importlib
import json
import sys
import traceback

import pyarrow.flight as flight

module, location, *arguments = sys.argv[1:]
checks = importlib.import_module(module)
for name, check in list(vars(checks).items()):
    if not name.startswith("check_"):
        continue
    failure = ""
    with flight.connect(location) as client:
        try:
            check(client, *arguments)
        except Exception:
            failure = traceback.format_exc()
    print(json.dumps({"name": name.removeprefix("check_"), "failure": failure}))
