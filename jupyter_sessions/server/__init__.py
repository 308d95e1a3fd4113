"""The Jupyter server extension; no other package imports this one."""
