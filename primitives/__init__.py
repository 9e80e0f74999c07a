"""Room `primitives`: errors, ids, clock, intervals, money, quantities.  No input or output; standard library only."""
