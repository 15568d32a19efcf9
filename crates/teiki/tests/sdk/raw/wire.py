"""A client that sends exactly the bytes it is given, and reads the answer without kindness. Standard library only."""

import base64
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import select
import socket
import sys
import unittest
import urllib.parse
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import shapes  # noqa: E402 - of the folder above

ADDRESS = urllib.parse.urlsplit(os.environ["TEIKI_URL"])
SECRET_KEY = os.environ["TEIKI_SECRET_KEY"]
PUBLIC_KEY = os.environ["TEIKI_PUBLIC_KEY"]
LIVE_SECRET_KEY = os.environ["TEIKI_LIVE_SECRET_KEY"]
OTHER_SECRET_KEY = os.environ["TEIKI_OTHER_SECRET_KEY"]

# An answer comes by then; only a failing test waits so long.
PATIENCE_S = 20
EXP_YEAR = datetime.date.today().year + 3
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def basic(key):
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def request(method, path, body=None, *, key=SECRET_KEY, content_type=None, headers=()):
    """The bytes of a request: nothing is added to what is said but the host and the length of a body."""
    lines = [b"%s %s HTTP/1.1" % (_bytes(method), _bytes(path)), b"Host: teiki"]
    if key is not None:
        lines.append(b"Authorization: " + basic(key).encode())
    if content_type is not None:
        lines.append(b"Content-Type: " + content_type.encode())
    if body is not None:
        lines.append(b"Content-Length: %d" % len(_bytes(body)))
    lines += [_bytes(header) for header in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + _bytes(body or b"")


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes


class Connection:
    """One connection, on which requests may follow each other."""

    def __init__(self):
        self.socket = socket.create_connection((ADDRESS.hostname, ADDRESS.port), PATIENCE_S)
        self.reader = self.socket.makefile("rb")

    def send(self, data):
        """Sends as much as the server takes before it answers."""
        view = memoryview(data)
        while view:
            readable, writable, _ = select.select([self.socket], [self.socket], [], PATIENCE_S)
            if not readable and not writable:
                raise TimeoutError("the server neither reads nor answers")
            if readable:
                return
            try:
                view = view[self.socket.send(view[:65_536]) :]
            except (BrokenPipeError, ConnectionResetError):
                return

    def answer(self, has_body=True):
        status = self.reader.readline().split(b" ", 2)
        if len(status) < 2:
            raise ConnectionError(f"no answer but {status!r}")
        headers = {}
        while (line := self.reader.readline().rstrip(b"\r\n")) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Answer(int(status[1]), headers, self._body(headers) if has_body else b"")

    def _body(self, headers):
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while (size := int(self.reader.readline().split(b";")[0], 16)) > 0:
                body += self.reader.read(size)
                self.reader.readline()
            self.reader.readline()
            return body
        if "content-length" in headers:
            return self.reader.read(int(headers["content-length"]))
        return self.reader.read()

    def close(self):
        self.reader.close()
        self.socket.close()


@contextlib.contextmanager
def connection():
    connected = Connection()
    try:
        yield connected
    finally:
        connected.close()


def exchange(data, has_body=True):
    """One request on a connection of its own."""
    with connection() as connected:
        connected.send(data)
        return connected.answer(has_body)


def _whole(text):
    raise shapes.Wrong(f"{text} is not a whole number")


def _once(pairs):
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise shapes.Wrong(f"a key stands twice: {keys}")
    return dict(pairs)


class Case(unittest.TestCase):
    maxDiff = None

    def json(self, answer):
        """The body of any answer under /v1: JSON, never empty, with an id of the request."""
        self.assertRegex(answer.headers.get("content-type", ""), r"^application/json\b", answer)
        self.assertTrue(answer.headers.get("request-id"), answer)
        self.assertTrue(answer.body, answer)
        body = json.loads(
            answer.body.decode(), parse_float=_whole, parse_constant=_whole, object_pairs_hook=_once
        )
        self.assertIsInstance(body, dict)
        return body

    def good(self, answer):
        """The body of an answer that is none of an error."""
        self.assertEqual(answer.status, 200, answer)
        body = self.json(answer)
        shapes.check(body)
        return body

    def error(self, answer, status, kind=None, code=None, param=None):
        """The error of an answer: the one place that knows what all errors have in common."""
        statuses = status if isinstance(status, tuple) else (status,)
        self.assertIn(answer.status, statuses, answer)
        error = shapes.check_error(self.json(answer), answer.status)
        if answer.status == 401:
            self.assertRegex(answer.headers.get("www-authenticate", ""), "^Basic ", answer)
        if answer.status == 429:
            self.assertRegex(answer.headers.get("retry-after", ""), "^[1-9][0-9]*$", answer)
        for key, expected in (("type", kind), ("code", code), ("param", param)):
            if expected is not None:
                self.assertIn(error.get(key), expected if isinstance(expected, set) else {expected}, error)
        return error

    # What most cases begin with.

    def get(self, path, **how):
        return exchange(request("GET", path, **how))

    def post(self, path, body=b"", **how):
        return exchange(request("POST", path, body, **({"content_type": FORM} | how)))

    def delete(self, path, **how):
        return exchange(request("DELETE", path, **how))

    def token(self, number="4242424242424242", **how):
        body = f"card[number]={number}&card[exp_month]=12&card[exp_year]={EXP_YEAR}&card[cvc]=123"
        return self.good(self.post("/v1/tokens", body, **how))["id"]

    def customer(self, more="", **how):
        return self.good(self.post("/v1/customers", f"card={self.token(**how)}{more}", **how))

    def plan(self, more="", **how):
        body = f"amount=500&currency=jpy&interval=month{more}"
        return self.good(self.post("/v1/plans", body, **how))

    def subscription(self, more="", **how):
        customer, plan = self.customer(**how), self.plan(**how)
        body = f"customer={customer['id']}&plan={plan['id']}{more}"
        return self.good(self.post("/v1/subscriptions", body, **how))

    def charge(self, more="", **how):
        body = f"amount=1000&currency=jpy&card={self.token(**how)}{more}"
        return self.good(self.post("/v1/charges", body, **how))

    def unique(self, prefix):
        return f"{prefix}-{uuid.uuid4().hex[:12]}"
