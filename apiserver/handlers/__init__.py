"""One module per noun, each with a list `ROUTES`; `apiserver.routes` names them all."""
