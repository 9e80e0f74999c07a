"""The pure part: raw values (`raw`), the register rule (`register`), PUE and its gate (`pue`).  No clock, no database, no network."""
