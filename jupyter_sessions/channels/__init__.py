"""Messages of kernels, the relay between notebooks and kernels, and the placeholder without a kernel."""
