"""Notebooks on sessions: a kernel provisioner, a bridge for front ends without provisioners, and kernelspecs."""
