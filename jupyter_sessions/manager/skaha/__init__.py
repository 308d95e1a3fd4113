"""The Skaha API: the same sessions for CANFAR's clients, at ``/skaha/v0`` and ``/skaha/v1``.

Source: seed 004, servers up to science-platform 1.4.0, clients skaha 1.7.0 and canfar 1.5.2.
"""
