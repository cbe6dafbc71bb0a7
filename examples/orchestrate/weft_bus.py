"""Weft's bus from Python's standard library alone: a key, a connection, requests and events in JSON.

Bus.local() commands this machine's session daemon as the calling user; Bus.fleet(DIR) a fleet, with a directory of `weft keys`.
With a NATS library instead, connect with the same four things: URL, authority's certificate, credentials, inbox prefix.
"""
import base64
import hashlib
import json
import os
import socket
import ssl
import uuid


def runtime_directory():
    """Where the session daemon of this user has its sockets (docs/contracts.md)."""
    home, uid = os.environ.get("WEFT_HOME"), os.getuid()
    if home:
        return home + "/run"
    if uid == 0:
        return "/run/weft"
    user = f"/run/user/{uid}"
    return user + "/weft" if os.path.isdir(user) else f"/tmp/weft-{uid}"


def local_access():
    """Who asks is known by the socket; the answer has a key for just that user."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.connect(runtime_directory() + "/client.sock")
        answer = json.loads(door.recv(1 << 16))
    if not answer["ok"]:
        raise RuntimeError(answer["fault"]["message"])
    return answer["access"]


def token(text):
    """A name as one token of a subject."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    return "".join(chr(byte) if byte in plain else f"={byte:02X}" for byte in str(text).encode()) or "="


def place_of(access):
    return f"weft.v1.{token(access['host'])}.{access['uid']}"


def read_credentials(path):
    """The two parts of a .creds file: who it is, and the seed that proves it."""
    with open(path) as file:
        lines = [line.strip() for line in file]
    return [lines[at + 1] for at, line in enumerate(lines) if line.startswith("-----BEGIN")]


class Failure(Exception):
    """What Weft answers when it cannot: code, message, and the way out."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']} {error['hint']}")
        self.code = error["code"]


class Bus:
    def __init__(self, url, ca, jwt, seed, inbox_prefix):
        host, _, port = url.partition("://")[2].rpartition(":")
        self.inbox, self.buffer, self.sids, self.waiting = inbox_prefix, b"", 0, []
        raw = socket.create_connection((host, int(port)), 10)
        info = json.loads(self._line(raw)[5:])
        context = ssl.create_default_context(cadata=ca)
        self.socket = context.wrap_socket(raw, server_hostname=host)
        hello = {"verbose": False, "pedantic": False, "headers": False, "lang": "python", "version": "1", "protocol": 1,
                 "jwt": jwt, "sig": base64.urlsafe_b64encode(sign(seed, info["nonce"].encode())).rstrip(b"=").decode()}
        self._send("CONNECT " + json.dumps(hello), "PING")
        while (word := self._line(self.socket)) != "PONG":
            if word.startswith("-ERR"):
                raise PermissionError(word)

    @classmethod
    def local(cls):
        access = local_access()
        bus = cls(access["urls"][0], access["ca"], access["jwt"], access["seed"], access["inboxPrefix"])
        bus.commands = f"{place_of(access)}.cmd.local.{token(access['who'])}"
        bus.events = f"{place_of(access)}.evt.{token(access['who'])}"
        return bus

    @classmethod
    def fleet(cls, directory, host=None, uid=0):
        """Commands go to one host, or to all of the fleet."""
        with open(directory + "/fleet.json") as file:
            fleet = json.load(file)
        with open(f"{directory}/{fleet['ca']}") as file:
            ca = file.read()
        bus = cls(fleet["urls"][0], ca, *read_credentials(f"{directory}/{fleet['credentials']}"), fleet["inboxPrefix"])
        bus.commands = f"weft.v1.{token(host) if host else 'fleet'}.{uid}.cmd.fleet.{token(fleet['name'])}"
        # Of a host all events: whose session it is, is only the next token.
        bus.events = f"weft.v1.{token(host)}.{uid}.evt.*" if host else None
        return bus

    def request(self, subject, body, seconds=30):
        """One question, one answer; both are JSON documents."""
        reply = f"{self.inbox}.{uuid.uuid4().hex}"
        sid = self.subscribe(reply)
        self._publish(subject, json.dumps(body).encode(), reply)
        self.socket.settimeout(seconds)
        answer = self._next(sid)[1]
        self._send(f"UNSUB {sid}")
        return answer

    def command(self, command, /, **fields):
        """The same request id gets the same answer, so a command may be sent again when nobody answered."""
        answer = self.request(f"{self.commands}.{command}", {"v": 1, "id": uuid.uuid4().hex, **fields})
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def subscribe(self, subject):
        self.sids += 1
        self._send(f"SUB {subject} {self.sids}")
        return self.sids

    def wait_for(self, sid, seconds=60):
        """The next message of a subscription: its subject and its body."""
        self.socket.settimeout(seconds)
        return self._next(sid)

    def flush(self):
        """Returns when the server knows what was sent before, subscriptions too."""
        self._send("PING")
        while self._read() is not True:
            pass

    def _next(self, sid):
        while True:
            for message in self.waiting:
                if message[0] == sid:
                    self.waiting.remove(message)
                    return message[1], message[2]
            self._read()

    def _read(self):
        """One word of the server; True: it answered a ping."""
        words = self._line(self.socket).split(" ")
        if words[0] == "PING":
            self._send("PONG")
        elif words[0] == "-ERR":
            raise PermissionError(" ".join(words))
        elif words[0] == "MSG":
            body = self._bytes(int(words[-1]) + 2)[:-2]
            self.waiting.append((int(words[2]), words[1], json.loads(body or b"{}")))
        return words[0] == "PONG"

    def _publish(self, subject, body, reply=""):
        self.socket.sendall(f"PUB {subject} {reply} {len(body)}\r\n".encode() + body + b"\r\n")

    def _send(self, *lines):
        self.socket.sendall("".join(line + "\r\n" for line in lines).encode())

    def _line(self, connection):
        while b"\r\n" not in self.buffer:
            self._more(connection)
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode()

    def _bytes(self, count):
        while len(self.buffer) < count:
            self._more(self.socket)
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _more(self, connection):
        received = connection.recv(1 << 16)
        if not received:
            raise ConnectionError("the bus closed the connection")
        self.buffer += received


# Ed25519 (RFC 8032), because the server wants its challenge signed and the standard library has no signatures.
P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202


def _add(a, b):
    x, y, z, t = a
    u, v, w, s = b
    e, f, g, h = (y - x) * (v - u), (y + x) * (v + u), 2 * t * s * D, 2 * z * w
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar):
    result, power = (0, 1, 1, 0), (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)
    while scalar:
        if scalar & 1:
            result = _add(result, power)
        power, scalar = _add(power, power), scalar >> 1
    inverse = pow(result[2], P - 2, P)
    x, y = result[0] * inverse % P, result[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def sign(seed, message):
    """`seed` as NATS writes it: base32 of two bytes that say what it is, 32 bytes, and a checksum."""
    secret = base64.b32decode(seed + "=" * (-len(seed) % 8))[2:34]
    digest = hashlib.sha512(secret).digest()
    scalar = int.from_bytes(digest[:32], "little") & ~7 & (1 << 254) - 1 | 1 << 254
    public = _times(scalar)
    nonce = int.from_bytes(hashlib.sha512(digest[32:] + message).digest(), "little") % ORDER
    point = _times(nonce)
    challenge = int.from_bytes(hashlib.sha512(point + public + message).digest(), "little")
    return point + ((nonce + challenge * scalar) % ORDER).to_bytes(32, "little")
