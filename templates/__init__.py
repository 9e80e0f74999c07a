"""Room `templates`: the catalogue, versioned YAML beside `catalog.py`."""
