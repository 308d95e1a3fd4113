"""The manager's HTTP API, in the terms of Backend.AI."""
