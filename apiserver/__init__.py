"""Room `apiserver`: routes, authentication, schemas, errors to HTTP, OpenAPI.  It holds no rule of its own: `control` decides."""
