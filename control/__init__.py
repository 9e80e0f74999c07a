"""Room `control`: the use cases, one file each; the reconciler; scheduled jobs; notices; settings and wiring."""
