"""The instant engine: nutpie's NUTS on a compiled density."""
