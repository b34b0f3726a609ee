"""Cofferdam through stock clients only: boto3, nats-py, sqlite3.

Starts `target/debug/cofferdam up` in a temporary directory and uses nothing of ours but run.json.
Prints a line a test and, last, `N passed, N failed, N skipped`. Exits 1 when one failed.

    COFFERDAM_NATS_SERVER=… python3 tests/python/stock_clients.py [PROGRAM]
"""

import asyncio
import base64
import hashlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

import boto3
import nats
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def noise(seed, size):
    return random.Random(seed).randbytes(size)


class Instance:
    """A running instance, as a script sees it."""

    def __init__(self, program, home):
        self.home = pathlib.Path(home)
        ports = {f"COFFERDAM__{name}": "127.0.0.1:0" for name in ("S3__LISTEN", "HTTP__LISTEN", "NATS__LISTEN", "NATS__WEBSOCKET_LISTEN")}
        env = os.environ | ports | {"COFFERDAM__CONFIG_DIR": str(self.home / "config")}
        self.log = open(self.home / "log", "wb")
        self.process = subprocess.Popen(
            [program, "--data", self.home / "data", "up", "--quiet"], env=env, cwd=home, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        run = self.home / "data/run.json"
        end = time.monotonic() + 60
        while not run.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"no instance:\n{(self.home / 'log').read_text()}")
            time.sleep(0.05)
        self.run = json.loads(run.read_text())

    def s3(self, **config):
        access = self.run["s3"]
        return boto3.client(
            "s3",
            endpoint_url=access["endpoint"],
            region_name=access["region"],
            aws_access_key_id=access["access_key_id"],
            aws_secret_access_key=access["secret_access_key"],
            config=Config(signature_version="s3v4", **config),
        )

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=15)
        self.log.close()
        assert code == 0, f"ended with {code}"


class Client:
    """nats-py with the tenant's login, remembering what it hears on live.>."""

    async def open(self, run):
        login = run["nats"]["tenant"]
        self.nats = await nats.connect(run["nats"]["url"], user=login["user"], password=login["password"])
        self.heard = []
        self.headers = []

        async def hear(message):
            self.heard.append((message.subject, json.loads(message.data)))
            self.headers.append(dict(message.headers or {}))

        await self.nats.subscribe("live.>", cb=hear)
        await self.nats.flush()
        return self

    async def wait(self, what, condition, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for subject, body in self.heard:
                if condition(subject, body):
                    return body
            await asyncio.sleep(0.02)
        raise AssertionError(f"not heard within {seconds} s: {what}; heard {[s for s, _ in self.heard]}")

    async def done(self, key):
        return await self.wait(f"{key} done", lambda s, b: s.startswith("live.done.") and b["object"]["key"] == key)

    async def ask(self, subject, body):
        answer = await self.nats.request(subject, body if isinstance(body, bytes) else json.dumps(body).encode(), timeout=10)
        return json.loads(answer.data)

    async def retrieve(self, **body):
        accepted = await self.ask("cmd.retrieve", body)
        assert accepted.get("accepted") is True, accepted
        event = await self.wait("retrieve result", lambda s, b: s.startswith("live.retrieve.") and b["id"] == accepted["id"])
        assert event["outcome"] == "done", event
        return event["result"]["values"]


def fetch(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read()


@test
async def boto3_put_and_retrieve(instance, client):
    body = noise(1, 123_456)
    instance.s3().put_object(Bucket="inbox", Key="put/one two.bin", Body=body, ContentType="application/octet-stream")
    done = await client.done("put/one two.bin")
    assert done["state"] == "done" and done["verdict"] == "pass", done
    values = await client.retrieve(select={"key": "put/one two.bin"})
    assert fetch(values["url"]) == body
    assert values["sha256"] == hashlib.sha256(body).hexdigest()


@test
async def boto3_checksums_of_every_kind(instance, client):
    s3 = instance.s3()
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        s3.put_object(Bucket="inbox", Key=f"sum/{algorithm}", Body=b"summed", ChecksumAlgorithm=algorithm)
        assert (await client.done(f"sum/{algorithm}"))["state"] == "done"
    digest = base64.b64encode(hashlib.md5(b"right").digest()).decode()
    try:
        s3.put_object(Bucket="inbox", Key="sum/wrong", Body=b"wrong", ContentMD5=digest)
        raise AssertionError("a wrong Content-MD5 was accepted")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "BadDigest", error
    assert not [s for s, b in client.heard if b.get("object", {}).get("key") == "sum/wrong"]


@test
async def boto3_transfer_manager_multipart(instance, client):
    body = noise(2, 30_000_000)
    path = instance.home / "thirty.bin"
    path.write_bytes(body)
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4)
    instance.s3().upload_file(str(path), "inbox", "multi/thirty.bin", Config=config)
    assert (await client.done("multi/thirty.bin"))["state"] == "done"
    values = await client.retrieve(select={"key": "multi/thirty.bin"}, start=14_999_990, end=15_000_010)
    assert fetch(values["url"]) == body[14_999_990:15_000_010]
    values = await client.retrieve(select={"key": "multi/thirty.bin"})
    assert fetch(values["url"]) == body


@test
async def boto3_presigned_put_and_post(instance, client):
    s3 = instance.s3()
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "inbox", "Key": "signed/put ü+%.txt"}, ExpiresIn=60)
    urllib.request.urlopen(urllib.request.Request(url, data=b"presigned", method="PUT")).read()
    assert (await client.done("signed/put ü+%.txt"))["state"] == "done"
    try:
        urllib.request.urlopen(urllib.request.Request(url.replace("signed/put", "signed/other"), data=b"x", method="PUT"))
        raise AssertionError("a tampered link was accepted")
    except urllib.error.HTTPError as error:
        assert error.code == 403, error


@test
async def events_are_cloudevents(instance, client):
    instance.s3().put_object(Bucket="inbox", Key="event.txt", Body=b"event")
    await client.done("event.txt")
    types = {headers.get("ce-type") for headers in client.headers}
    assert {"cofferdam.object.put.v1", "cofferdam.result.v1", "cofferdam.object.done.v1"} <= types, types
    for headers in client.headers:
        for name in ("ce-id", "ce-source", "ce-specversion", "ce-time"):
            assert headers.get(name), (name, headers)


@test
async def refusals_are_typed(instance, client):
    for subject, body, code in [
        ("cmd.retrieve", b"{", "invalid-request"),
        ("cmd.nonesuch", {}, "unknown-command"),
        ("q.object", {"key": "nothing"}, "not-found"),
    ]:
        answer = await client.ask(subject, body)
        assert answer["code"] == code, answer
        assert set(answer) >= {"code", "message", "time", "request_id"}, answer


@test
async def sqlite3_reads_the_rows(instance, client):
    instance.s3().put_object(Bucket="inbox", Key="rows.json", Body=b'{"a": 1}')
    await client.done("rows.json")
    end = time.monotonic() + 30
    while True:
        with sqlite3.connect(f"file:{instance.run['database']}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT state, verdict FROM documents WHERE key = 'rows.json'").fetchall()
            results = database.execute("SELECT count(*) FROM results").fetchone()[0]
        if rows == [("done", "pass")] and results >= 2:
            return
        assert time.monotonic() < end, rows
        time.sleep(0.05)


@test
async def sealed_objects_are_in_the_vault_and_the_landing_copy_goes(instance, client):
    s3 = instance.s3()
    s3.put_object(Bucket="inbox", Key="sealed.txt", Body=b"to be sealed")
    done = await client.done("sealed.txt")
    sealed = s3.get_object(Bucket="vault", Key=done["sealed"]["key"])["Body"].read()
    assert b"to be sealed" not in sealed and len(sealed) == done["sealed"]["size"]
    end = time.monotonic() + 30
    while s3.list_objects_v2(Bucket="inbox", Prefix="sealed.txt").get("KeyCount"):
        assert time.monotonic() < end, "the landing copy stays"
        await asyncio.sleep(0.05)


async def main():
    program = sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/cofferdam"
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="cofferdam-python-") as home:
        instance = Instance(program, home)
        try:
            for function in TESTS:
                client = await Client().open(instance.run)
                try:
                    await asyncio.wait_for(function(instance, client), 180)
                    passed += 1
                    print(f"test {function.__name__} ... ok", flush=True)
                except Exception:
                    failed += 1
                    print(f"test {function.__name__} ... FAILED\n{traceback.format_exc()}", flush=True)
                finally:
                    await client.nats.close()
        finally:
            instance.stop()
            if failed:
                print((pathlib.Path(home) / "log").read_text()[-5000:])
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
