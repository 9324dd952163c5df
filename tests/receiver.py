"""A web server for webhooks that keeps what it is sent and answers as it is told to."""

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Listens on a free port until it is closed."""

    def __init__(self) -> None:
        self.received: queue.Queue[Any] = queue.Queue()
        self.answers: list[int] = []  # the next ones; 204 after them
        self.hosts: list[str] = []  # the Host of each request
        self.opened = threading.Event()  # until then no request is answered
        self.opened.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.hosts.append(self.headers["Host"])
                receiver.opened.wait()
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                receiver.received.put(json.loads(body))

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self) -> None:
        self.opened.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
