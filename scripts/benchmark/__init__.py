"""The benchmark: this server and its peers, side by side in one run, on one machine.

`scripts/bench` is the way in. What lives where:

- `native/`: the load generator, in C, built on the spot
- `peers/`: one small server program for each peer
- `machine`, `load`, `install`, `servers`, `ours`: parts that drive and account for processes; they are
  started by `tests.support.process`, as everywhere
- `cases/`: what is measured, a module for each kind of work
- `figures`, `report`, `plots`: medians and spread, tables, JSON, SVG

Nothing here is imported by the server.
"""
