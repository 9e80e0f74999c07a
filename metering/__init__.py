"""Room `metering`: usage events, the intervals they make, dated price books, rating, statements.  Knows no cloud and no quota."""
