"""A server that answers as llama.cpp's does, of the model whose path it is given, which it never opens again."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

PORT, MODEL = int(sys.argv[1]), sys.argv[2]
ANSWERS = {
    "/v1/models": {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "llamacpp"}]},
    "/props": {"model_path": MODEL, "build_info": "b1"},
    "/health": {"status": "ok"},
}


class Handler(BaseHTTPRequestHandler):
    server_version = "llama.cpp"

    def version_string(self) -> str:
        return "llama.cpp"

    def do_GET(self) -> None:
        self._answer(ANSWERS.get(self.path))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer({"choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}]})

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200 if value else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = HTTPServer(("127.0.0.1", PORT), Handler)
print(json.dumps({"listening": f"http://127.0.0.1:{PORT}"}), flush=True)
server.serve_forever()
