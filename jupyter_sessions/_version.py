"""The version of this package; the labextension's package.json has the same."""

__version__ = "0.1.0"
