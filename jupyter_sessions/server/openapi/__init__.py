"""Generate the description of the REST API from its handlers and models: an OpenAPI file, and types for the panel.

`python -m jupyter_sessions.server.openapi` writes both files; a test fails when one of them is out of date.
"""
