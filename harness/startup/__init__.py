"""On PYTHONPATH of every command in the sandbox, for `sitecustomize` in it."""
