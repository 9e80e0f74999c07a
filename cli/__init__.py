"""Room `cli`: the `govpool` command, one file per noun, loaded only when its noun is called."""
