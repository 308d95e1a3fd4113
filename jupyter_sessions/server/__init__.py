"""The Jupyter server extension; nothing else imports it."""
