"""Who may start next, and when to look."""
