"""Money of the year: appropriated, encumbered by what is ordered and runs, spent by what was metered.  Tables of its own."""
