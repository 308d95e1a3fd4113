"""Notebooks on sessions: a kernel provisioner, a bridge for front ends that know none, and kernelspecs."""
