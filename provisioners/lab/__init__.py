"""The lab: a simulated cloud in its own process (`cloud`, `server`, `view`, `world`, `placement`, `book`, `script`) and the driver that
speaks to it (`driver`, `client`).  NO GUEST RUNS IN IT.  The two share the form of their messages (`wire`), nothing else.
"""
