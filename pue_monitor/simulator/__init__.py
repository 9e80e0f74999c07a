"""The facility simulator: two halls of Modbus meters in a process of its own.  It simulates and says so; govpool never imports it to serve.

`load` is what the halls draw (real hourly IT load, a plant computed from it), `plant` the meters and their registers, `script` the faults,
`modbus_server` the wire, `history` a past month as an import file, `process` the running of it all.
"""
