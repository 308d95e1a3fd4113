"""A manager in a thread of the tests, whose sessions are no processes: for tests that need none of either."""
