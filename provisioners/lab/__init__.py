"""The lab: a simulated cloud in its own process (`cloud`, `server`, `world`, `book`, `script`) and the driver that speaks to it (`driver`,
`client`).  NO GUEST RUNS IN IT.  What the two share is the form of their messages (`wire`), nothing else.
"""
