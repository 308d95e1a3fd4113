"""What both ends of a wire share."""
