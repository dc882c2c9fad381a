"""The benchmark: flightruntime against pyarrow's own C++ server, in one run. `make bench` and `make bench-quick` run it."""
