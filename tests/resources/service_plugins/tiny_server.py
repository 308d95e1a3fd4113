"""A web server that says what it was sent; of the standard library, for it stands for a stranger's program."""

import argparse
import json
import os
import socketserver
from http.server import BaseHTTPRequestHandler, HTTPServer

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--socket", default="")
parser.add_argument("--prefix", default="")
parser.add_argument("--greeting", default="hello")
asked = parser.parse_args()


class Handler(BaseHTTPRequestHandler):
    """Answers with the path and header, or redirects."""

    def do_GET(self) -> None:
        """Answer."""
        if self.path.endswith("/away"):
            self.send_response(302)
            self.send_header("Location", f"{os.environ['TINY_BASE']}by-port/home")
            self.end_headers()
            return
        body = {
            "path": self.path,
            "headers": dict(self.headers),
            "greeting": asked.greeting,
            "base": os.environ.get("TINY_BASE"),
        }
        body["link"] = f"{os.environ.get('TINY_BASE')}by-port/page"
        body["path_variable"] = os.environ["PATH"]
        body["cwd"], body["session"] = os.getcwd(), os.environ.get("BACKENDAI_SESSION_NAME")
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def address_string(self) -> str:
        """Clients of a unix socket have no address."""
        return "-"


class UnixServer(socketserver.UnixStreamServer):
    """The same on a unix socket."""

    def get_request(self):
        """Return a request with an address like those of TCP."""
        request, _ = super().get_request()
        return request, ("-", 0)


server = UnixServer(asked.socket, Handler) if asked.socket else HTTPServer(("127.0.0.1", asked.port), Handler)
print("listening", flush=True)  # noqa: T201
server.serve_forever()
