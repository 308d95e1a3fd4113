"""Kernels as both sides of a wire need them: messages, the relay, and what answers in a kernel's place."""
