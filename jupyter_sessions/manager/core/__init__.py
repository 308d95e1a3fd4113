"""Sessions as the manager remembers them: records, the store, keys, dependencies, expiry and leases."""
