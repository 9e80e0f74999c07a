"""Room `apiclient`: the thin client of the HTTP API.  Standard library and `primitives` only; http.client and ssl load at the first request."""
