"""Processes of sessions and what fences them in: starting, waiting, limits, capacity, GPUs.

Nothing here knows sessions, images or wires. All state is on disk, in /proc and in the kernel's
control groups, so a manager that was killed finds everything again.
"""
