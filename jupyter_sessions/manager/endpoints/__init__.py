"""The fixed addresses of a session's kernel, and the manager's own link to the kernel."""
