"""What whoever stands between browsers and a session's service needs: the server's extension, the manager.

Who may pass (`origin`), what must not (`credentials`, `cookies`, `headers`, `target`), and the way to the
service (`upstream`). Header fields are pairs of name and value, as often as they were sent.
"""
