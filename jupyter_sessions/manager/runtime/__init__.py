"""Processes of sessions: start and end them, limit their resources, and find out what the machine has.

Nothing here depends on sessions, images or protocols. All state is on disk, in /proc and in the kernel's control
groups, so a manager that was killed finds everything again.
"""
