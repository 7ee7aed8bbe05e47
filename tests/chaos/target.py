# SPDX-License-Identifier: MPL-2.0
"""What hostile and transfers attack, and how they judge: a cluster of three zones, its processes' memory, its S3 edges,
spoken to by hand."""

import argparse
import hashlib
import hmac
import http.client
import importlib.machinery
import importlib.util
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
MIB = 1 << 20
ROLES = ["edge1", "meta1", "data1", "pki1"]


def load_chaos():
    loader = importlib.machinery.SourceFileLoader("chaos", str(HERE / "chaos"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("chaos", loader))
    loader.exec_module(module)
    return module


chaos = load_chaos()
say = chaos.say


class Judge(chaos.Judge):
    def check(self, holds, what):
        self.rule(bool(holds), what)
        return bool(holds)


def wait_for(what, seconds=20):
    """The first true answer, or the last one when the time is over."""
    until = time.monotonic() + seconds
    while not (answer := what()) and time.monotonic() < until:
        time.sleep(0.1)
    return answer


# --- the cluster and its processes ------------------------------------------------------------------------------------


class Target(chaos.Cluster):
    """A cluster, with what an attacker and a judge know of it."""

    def __init__(self, build, folder, *words):
        folder.mkdir(exist_ok=True)
        self.build, self.folder = build, folder / "cluster"
        self.zones = ["z1", "z2", "z3"]
        self.prepare(folder)
        self.lab("up", "--timeout", "60", *words)
        self.profiles = {zone: self.make_profile(i, zone) for i, zone in enumerate(self.zones)}
        self.base = int((self.folder / "lab/base-port").read_text())
        text = (self.folder / "s3-credentials").read_text()
        self.access = re.search(r"access-key: *(\S+)", text).group(1)
        self.secret = re.search(r"secret-key: *(\S+)", text).group(1)

    def prepare(self, folder):
        """What is to be there before the lab founds the cluster and starts it: nothing."""

    def found(self):
        """What `adrestia-lab up` does before it starts anything."""
        base = free_ports(16 * len(self.zones))
        subprocess.run([self.build / "adrestia", "init", "--dir", self.folder, "--zones", str(len(self.zones)),
                        "--base-port", str(base)], check=True, stdout=subprocess.DEVNULL)
        (self.folder / "lab").mkdir()
        (self.folder / "lab/base-port").write_text(f"{base}\n")

    def end(self, _keep):
        self.lab("down")

    def ports(self, zone):
        first = self.base + 16 * self.zones.index(zone)
        return range(first, first + 16)

    def s3_port(self, zone):
        return self.ports(zone)[3]

    def pid(self, host):
        return int((self.folder / "lab" / f"{host.replace('/', '.')}.pid").read_text().split()[0])

    def log(self, host):
        return (self.folder / host / "adrestiad.log").read_text(errors="replace")

    def run(self, zone, *words):
        """The shell's exit code and what it says."""
        done = subprocess.run([self.build / "adrestia", "--profile", self.profiles[zone], *words], check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.decode(errors="replace")

    def doors(self, zone, lanes=("control", "bulk", "client")):
        """Endpoint and public key of every CURVE socket of these lanes in the zone, but for those of evicted nodes."""
        keys, found = {}, []
        for role in ROLES:
            done = subprocess.run([self.build / "adrestia", "cert", "show", "--json",
                                   self.folder / zone / role / "node.cert"], stdout=subprocess.PIPE, check=True)
            keys[f"{role}@{zone}"] = re.search(rb'"curve-key": *"([0-9a-f]{64})"', done.stdout).group(1).decode()
        for node in self.shell(zone, "map")["nodes"]:
            if node["name"] in keys and node["state"] != "evicted":
                found += [(node[lane], keys[node["name"]]) for lane in lanes if node.get(lane)]
        return found

    def knock(self, doors, secret_file=None):
        """At each door with a key of its own, or that of the file, and with no mechanism: (how, what came of it) in their order."""
        stranger = self.build / "tests/chaos/stranger"
        if not stranger.exists():
            subprocess.run(["make", "-s", "-C", self.build, "tests/chaos/stranger"], check=True)
        own = []
        if secret_file:
            own = ["--secret", re.search("[0-9a-f]{64}", secret_file.read_text()).group(0)]
        done = subprocess.run([stranger, *own, *(word for door in doors for word in door)], stdout=subprocess.PIPE, check=True)
        return [tuple(line.split()[1:]) for line in done.stdout.decode().splitlines()]

    def ready(self, result, what, seconds=30):
        try:
            self.lab("wait", "--timeout", str(seconds))
            return result.check(True, what)
        except RuntimeError as problem:
            return result.check(False, f"{what}: not ready after {seconds} s\n{problem}")


class ConfiguredTarget(Target):
    """A cluster whose hosts have some more lines in their configuration."""

    def __init__(self, build, folder, settings):
        self.settings = settings
        super().__init__(build, folder)

    def prepare(self, folder):
        self.found()
        for zone in self.zones:
            with open(self.folder / zone / "adrestia.yaml", "a", encoding="ascii") as file:
                file.write(self.settings)


def free_ports(count):
    """The first of so many free ports in a row."""
    while True:
        base, sockets = random.SystemRandom().randrange(20000, 32000 - count), []
        try:
            for port in range(base, base + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            return base
        except OSError:
            pass
        finally:
            for one in sockets:
                one.close()


def memory(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) * 1024


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Watch(threading.Thread):
    """The most memory that a process had while it was watched."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.ended = pid, threading.Event()
        self.first = self.most = memory(pid)
        self.start()

    def run(self):
        while not self.ended.wait(0.02):
            try:
                self.most = max(self.most, memory(self.pid))
            except (OSError, AttributeError):
                return

    def growth(self):
        self.ended.set()
        self.join()
        return self.most - self.first


# --- S3, by hand ------------------------------------------------------------------------------------------------------


def code_of(answer):
    found = re.search(rb"<Code>(\w+)</Code>", answer)
    return found.group(1).decode() if found else ""


class S3:
    def __init__(self, target, zone):
        self.host, self.port = "127.0.0.1", target.s3_port(zone)
        self.access, self.secret = target.access, target.secret

    def headers(self, method, path, body_hash, extra=(), when=None, secret=None, access=None):
        when = when or datetime.now(timezone.utc)
        stamp, day = when.strftime("%Y%m%dT%H%M%SZ"), when.strftime("%Y%m%d")
        headers = {"host": f"{self.host}:{self.port}", "x-amz-date": stamp, "x-amz-content-sha256": body_hash,
                   **dict(extra)}
        names = ";".join(sorted(headers))
        canonical = "\n".join([method, path, "", *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names,
                               body_hash])
        scope = f"{day}/us-east-1/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + (secret or self.secret)).encode()
        for part in (day, "us-east-1", "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={access or self.access}/{scope}, "
                                    f"SignedHeaders={names}, Signature={signature}")
        return headers

    def ask(self, method, path, body=b"", **options):
        """Status and body; a status of 0 if there was no answer."""
        options.setdefault("body_hash", hashlib.sha256(body).hexdigest())
        connection = http.client.HTTPConnection(self.host, self.port, timeout=15)
        try:
            connection.request(method, path, body, self.headers(method, path, **options))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as problem:
            return 0, str(problem).encode()
        finally:
            connection.close()

    def raw(self, data, wait=5.0, end=False):
        """Sends the bytes as they are; what came back before the connection was closed, or the time was over."""
        with socket.create_connection((self.host, self.port), timeout=wait) as one:
            answer = b""
            try:
                one.sendall(data)
                if end:
                    one.shutdown(socket.SHUT_WR)
                while b"\r\n\r\n" not in answer and len(answer) < MIB:
                    part = one.recv(65536)
                    if not part:
                        break
                    answer += part
            except OSError:
                pass
            return answer

    def head_of(self, method, path, headers, version="1.1"):
        lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode()


class Serving(threading.Thread):
    """Puts and gets objects over these zones' edges until it is ended, and notes what went wrong."""

    def __init__(self, target, zones=None, bucket="/hostile"):
        super().__init__(daemon=True)
        self.edges, self.bucket = [S3(target, zone) for zone in zones or target.zones], bucket
        self.ended, self.done, self.wrong = threading.Event(), 0, []
        self.start()

    def run(self):
        number = 0
        while not self.ended.is_set():
            edge, body = self.edges[number % len(self.edges)], os.urandom(20000)
            path = f"{self.bucket}/served-{number % 30}"
            number += 1
            put = edge.ask("PUT", path, body)
            got = self.edges[number % len(self.edges)].ask("GET", path)
            if put[0] == 200 and got == (200, body):
                self.done += 1
            else:
                self.wrong.append((path, put[0], put[1][:200], got[0]))

    def judge(self, result, what):
        wait_for(lambda: self.done > 3 or self.wrong)  # what it ran beside may have been short
        self.ended.set()
        self.join()
        result.check(self.done > 3 and not self.wrong, f"{what}: S3 served {self.done}, wrong {self.wrong[:3]}")


# --- histories --------------------------------------------------------------------------------------------------------


def judge_histories(target, workers, result):
    """As chaos judges them, from every zone: the operations, or nothing if a zone lists none."""
    rows = list(workers.rows())
    listings, read_at = {}, {}
    for zone in target.zones:
        listings[zone], read_at[zone] = chaos.list_zone(target, zone)
        if not result.check(listings[zone], f"{zone} lists nothing"):
            return []
    result.registers(rows, chaos.final_reads(listings, read_at, rows))
    acknowledged = result.ledger(rows, listings)
    result.rule(acknowledged > 0, "no write was acknowledged at all")
    outcomes = {}
    for row in rows:
        outcomes[row[4]] = outcomes.get(row[4], 0) + 1
    say(f"{len(rows)} operations, {acknowledged} acknowledged writes of the ledger: "
        + ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())))
    return rows


# --- a run ------------------------------------------------------------------------------------------------------------


def drive(doc, name, cluster, judge):
    """A cluster comes up, is judged, and goes; the exit code."""
    parser = argparse.ArgumentParser(description=doc.split("\n", maxsplit=1)[0])
    parser.add_argument("--keep", action="store_true", help="keep the folder, whatever happens")
    words = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # what was started is stopped all the same
    build = chaos.find_build()
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=build))
    result, target, code = Judge(), None, 1
    try:
        target = cluster(build, folder)
        say("the cluster is up")
        judge(target, result)
        code = 1 if result.failed else 0
    finally:
        if target:
            target.lab("down")
        if words.keep or code:
            say(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    say("done")
    print(f"{result.passed} passed, {result.failed} failed")
    return code
