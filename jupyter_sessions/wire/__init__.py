"""What the ends of a connection share: addresses, signatures, encodings and limits."""
