"""Resources wanted and observed, attempts, the driver contract, and the drivers, one a file or folder."""
