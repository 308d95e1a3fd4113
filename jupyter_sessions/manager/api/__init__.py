"""The manager's HTTP API, compatible with Backend.AI's."""
