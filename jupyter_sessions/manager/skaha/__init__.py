"""The Skaha face: the same sessions as CANFAR's clients know them, at ``/skaha/v0`` and ``/skaha/v1``.

Source: seed 004, servers up to science-platform 1.4.0, clients skaha 1.7.0 and canfar 1.5.2.
"""
