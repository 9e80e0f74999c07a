"""Room `apiclient`: the thin client of the HTTP API.  Standard library and `primitives` only; network modules load at first use."""
