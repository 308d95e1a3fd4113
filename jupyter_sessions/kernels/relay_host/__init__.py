"""The helper process that relays notebooks to kernels of other machines; started by backends, never imported by them."""
