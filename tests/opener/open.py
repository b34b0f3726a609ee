#!/usr/bin/env python3
"""Opens sealed objects with stock packages only: a second implementation of schemas/envelope/SPEC.md.

It shares no code with Cofferdam. It needs the packages `cryptography` (50 or later) and `blake3`, a sealed object, one identity
(`AGE-SECRET-KEY-PQ-1...`, the tenant's or the recovery key's) and the signer's public key. See README.md.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import stat
import struct
import sys
import tempfile
import uuid

import blake3
from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

MAGIC = b"SEALED\x00\x01"
PREFIX_LEN = 20
CORE_MIN, CORE_MAX = 62, 65536
RECIPIENTS_MAX = 1 << 20
SIGNATURE_BLOCK_MAX = 65536
SUITE = 0x0001
FLAG_DETACHED, FLAG_ERASABLE = 1, 2
EXT_CONTEXT, EXT_PRIVATE = 0x0001, 0x0002
KNOWN_CRITICAL = set()  # 0x8005 (erase token) is critical and not supported here
ROLES = {1: "tenant", 2: "recovery", 3: "grantee", 4: "service"}
ALG_XWING = 0x0001
BODY_LEN = {0x0001: 1168, 0x0002: 1201, 0x0003: 1136}
SIG_COMPOSITE = 0x01
COMPOSITE_PUBLIC, COMPOSITE_SIGNATURE = 1952 + 32, 3309 + 64
PAYLOAD_HEAD, CHUNK, TAG = 56, 16384, 16
STEP = CHUNK + TAG
READ = 64 * STEP
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


class Refused(Exception):
    """The object is not opened; the text says at which step."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# --- Bech32 without a length limit (BIP 173; C2SP age.md) -------------------------------------------------------------


def bech32_decode(text):
    """Human-readable part and bytes of a Bech32 text."""
    if text.lower() != text and text.upper() != text:
        raise Refused("identity: mixed case")
    hrp, found, data = text.rpartition("1")
    low = data.lower()
    if not found or len(low) < 6 or any(c not in BECH32 for c in low):
        raise Refused("identity: not Bech32")
    values = [BECH32.index(c) for c in low]
    name = hrp.lower()
    check = 1
    for value in [ord(c) >> 5 for c in name] + [0] + [ord(c) & 31 for c in name] + values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> i & 1 else 0
    if check != 1:
        raise Refused("identity: wrong checksum")
    accumulator = bits = 0
    out = bytearray()
    for value in values[:-6]:
        accumulator, bits = accumulator << 5 | value, bits + 5
        if bits >= 8:
            bits -= 8
            out.append(accumulator >> bits & 255)
            accumulator &= (1 << bits) - 1
    if bits >= 5 or accumulator:
        raise Refused("identity: wrong padding")
    return hrp, bytes(out)


class Identity:
    """An X-Wing private key: 32 bytes of seed, expanded with SHAKE-256 into ML-KEM's d || z and the X25519 scalar."""

    def __init__(self, text):
        hrp, seed = bech32_decode(text.strip())
        if hrp != "AGE-SECRET-KEY-PQ-" or len(seed) != 32:
            raise Refused("identity: not an AGE-SECRET-KEY-PQ-1 key of 32 bytes")
        expanded = hashlib.shake_256(seed).digest(96)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self.key = MLKEM768X25519PrivateKey(mlkem, x25519)
        public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        self.id = key_id(ALG_XWING, public)

    def unwrap(self, stanza, header):
        info = b"SEALED/v1 wrap\x00" + bytes([stanza["role"]]) + stanza["id"] + header
        suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
        dek = suite.decrypt(stanza["body"], self.key, info)
        if len(dek) != 32:
            raise Refused("step 4: data key has a wrong length")
        return dek


def key_id(algorithm, public):
    return sha256(b"SEALED/v1 key-id", struct.pack(">H", algorithm), public)[:16]


def expand(dek, info, length):
    return HKDFExpand(hashes.SHA512(), length, info).derive(dek)


# --- parsing, with limits ---------------------------------------------------------------------------------------------


class Cursor:
    def __init__(self, data, name):
        self.data, self.at, self.name = data, 0, name

    def take(self, length):
        if self.at + length > len(self.data):
            raise Refused(f"step 1: {self.name} is cut short")
        part = self.data[self.at : self.at + length]
        self.at += length
        return part

    def number(self, length):
        return int.from_bytes(self.take(length), "big")

    def rest(self):
        return self.take(len(self.data) - self.at)


def parse_core(core):
    cursor = Cursor(core, "core")
    fields = {
        "suite": cursor.number(2),
        "flags": cursor.number(2),
        "object": uuid.UUID(bytes=cursor.take(16)),
        "tenant": cursor.take(16),
        "sealed_at": cursor.number(8),
        "signer": cursor.take(16),
    }
    extensions = Cursor(cursor.take(cursor.number(2)), "extensions")
    if cursor.rest():
        raise Refused("step 1: bytes after the extensions")
    if fields["suite"] != SUITE:
        raise Refused(f"step 1: suite {fields['suite']:#06x} is not known")
    if fields["flags"]:
        raise Refused(f"step 1: flags {fields['flags']:#06x} are not supported")
    found, before = {}, -1
    while extensions.at < len(extensions.data):
        kind, value = extensions.number(2), extensions.take(extensions.number(2))
        if kind <= before:
            raise Refused("step 1: extensions are not strictly ascending")
        if kind & 0x8000 and kind not in KNOWN_CRITICAL:
            raise Refused(f"step 1: critical extension {kind:#06x} is not known")
        found[kind], before = value, kind
    fields["extensions"] = found
    return fields


def parse_recipients(block):
    if len(block) < 7 + 32:
        raise Refused("step 1: recipients are cut short")
    cursor = Cursor(block[:-32], "recipients")
    version, revision, count = cursor.number(1), cursor.number(4), cursor.number(2)
    if version != 1 or revision != 0 or not 1 <= count <= 256:
        raise Refused("step 1: recipients have an unknown version, a revision other than 0, or a bad count")
    stanzas = []
    for _ in range(count):
        role, algorithm, identifier = cursor.number(1), cursor.number(2), cursor.take(16)
        body = cursor.take(cursor.number(2))
        if role not in ROLES or len(body) != BODY_LEN.get(algorithm, len(body)):
            raise Refused("step 1: a stanza has an unknown role or a wrong length")
        stanzas.append({"role": role, "alg": algorithm, "id": identifier, "body": body})
    if cursor.rest():
        raise Refused("step 1: bytes after the last stanza")
    return stanzas, block[:-32], block[-32:]


def parse_signature(block):
    cursor = Cursor(block, "signature block")
    fields = {"alg": cursor.number(1), "signer": cursor.take(16)}
    cursor.take(cursor.number(2))  # certificate: not used, the signer's key comes from whoever opens
    fields["payload_len"] = cursor.number(8)
    fields["payload_root"] = cursor.take(32)
    fields["signature"] = cursor.rest()
    if fields["alg"] != SIG_COMPOSITE or len(fields["signature"]) != COMPOSITE_SIGNATURE:
        raise Refused("step 1: signature is not ML-DSA-65 with Ed25519")
    return fields


def verify_composite(public, statement, signature):
    """draft-ietf-lamps-pq-composite-sigs-19, MLDSA65-Ed25519-SHA512. Both halves must hold."""
    label, context = b"COMPSIG-MLDSA65-Ed25519-SHA512", b"SEALED/v1 origin"
    message = b"CompositeAlgorithmSignatures2025" + label + bytes([len(context)]) + context + hashlib.sha512(statement).digest()
    try:
        MLDSA65PublicKey.from_public_bytes(public[:1952]).verify(signature[:3309], message, label)
        Ed25519PublicKey.from_public_bytes(public[1952:]).verify(signature[3309:], message)
    except InvalidSignature:
        raise Refused("step 2: signature is wrong") from None


# --- opening ----------------------------------------------------------------------------------------------------------


class Opened:
    """A sealed object up to step 6, in the one order of SPEC.md."""

    def __init__(self, file, identities, signers, tenant=None, object_id=None):
        # 1. Parse.
        prefix = file.read(PREFIX_LEN)
        if len(prefix) < PREFIX_LEN or prefix[:8] != MAGIC:
            raise Refused("step 1: not a sealed object of version 1")
        core_len, recipients_len, signature_len = struct.unpack(">III", prefix[8:])
        if not CORE_MIN <= core_len <= CORE_MAX or recipients_len > RECIPIENTS_MAX or signature_len > SIGNATURE_BLOCK_MAX:
            raise Refused("step 1: a length is out of bounds")
        head = file.read(core_len + recipients_len + signature_len)
        if len(head) < core_len + recipients_len + signature_len:
            raise Refused("step 1: header is cut short")
        core, rest = head[:core_len], head[core_len:]
        recipients, signature = rest[:recipients_len], rest[recipients_len:]
        self.core = parse_core(core)
        stanzas, authenticated, mac = parse_recipients(recipients)
        block = parse_signature(signature)
        self.header = sha256(MAGIC, core)

        # 2. The signer, from whoever opens and never from the file; the signature.
        if block["signer"] != self.core["signer"]:
            raise Refused("step 2: core and signature name different signers")
        public = signers.get(self.core["signer"])
        if public is None:
            raise Refused(f"step 2: signer {self.core['signer'].hex()} is not trusted")
        statement = b"SEALED/v1 statement\x00" + self.header + sha256(recipients)
        statement += struct.pack(">Q", block["payload_len"]) + block["payload_root"] + block["signer"]
        verify_composite(public, statement, block["signature"])
        self.payload_len, self.payload_root = block["payload_len"], block["payload_root"]

        # 3. Whose it is.
        if tenant is not None and self.core["tenant"] != sha256(b"SEALED/v1 tenant\x00", tenant.encode())[:16]:
            raise Refused("step 3: object belongs to another tenant")
        if object_id is not None and self.core["object"] != object_id:
            raise Refused("step 3: this is another object")

        # 4. The data key.
        mine = [(i, s) for s in stanzas if s["alg"] == ALG_XWING for i in identities if i.id == s["id"]]
        if not mine:
            raise Refused("step 4: no stanza is for this identity")
        identity, stanza = mine[0]
        self.role = ROLES[stanza["role"]]
        try:
            self.dek = identity.unwrap(stanza, self.header)
        except InvalidTag:
            raise Refused("step 4: stanza does not open") from None

        # 5. The recipients' MAC.
        mac_key = expand(self.dek, b"SEALED/v1 recipients-mac\x00" + self.header, 32)
        expected = hmac.new(mac_key, MAGIC + self.header + authenticated, "sha256").digest()
        if not hmac.compare_digest(expected, mac):
            raise Refused("step 5: recipients' MAC is wrong")

        # 6. The payload's head: salt and commitment.
        self.file, self.offset = file, PREFIX_LEN + len(head)
        file.seek(0, os.SEEK_END)
        if file.tell() != self.offset + self.payload_len:
            raise Refused("step 6: payload is longer or shorter than was signed")
        self.context = b"SEALED/v1 payload\x00" + self.header
        salt, commitment = self.at(0, 24), self.at(24, 32)
        info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + salt + self.context
        keys = expand(self.dek, info, 32 + 12 + 32)
        self.aead, self.nonce = AESGCM(keys[:32]), int.from_bytes(keys[32:44], "big")
        if not hmac.compare_digest(keys[44:], commitment):
            raise Refused("step 6: commitment is wrong")
        body = self.payload_len - PAYLOAD_HEAD
        self.last, tail = divmod(body, STEP)
        if tail < TAG:
            raise Refused("step 6: signed length is not that of whole chunks and a shorter last one")
        self.size = self.last * CHUNK + tail - TAG

    def at(self, offset, length):
        self.file.seek(self.offset + offset)
        data = self.file.read(length)
        if len(data) != length:
            raise Refused("payload is cut short")
        return data

    def private(self):
        """Key, content type and user metadata; known to whoever has the data key."""
        sealed = self.core["extensions"].get(EXT_PRIVATE)
        if sealed is None:
            return None
        key = expand(self.dek, b"SEALED/v1 metadata\x00" + self.core["object"].bytes + self.core["tenant"], 32)
        # Associated data is the core up to its extensions, which hold this value.
        try:
            return json.loads(AESGCM(key).decrypt(bytes(12), sealed, self.core_fixed()))
        except InvalidTag:
            raise Refused("private metadata does not open") from None

    def core_fixed(self):
        c = self.core
        fixed = struct.pack(">HH", c["suite"], c["flags"]) + c["object"].bytes + c["tenant"]
        return fixed + struct.pack(">Q", c["sealed_at"]) + c["signer"]

    def chunk(self, index):
        """7. One chunk: authenticated, then released."""
        start = PAYLOAD_HEAD + index * STEP
        length = min(STEP, self.payload_len - start)
        nonce = (self.nonce ^ index).to_bytes(12, "big")
        try:
            return self.aead.decrypt(nonce, self.at(start, length), b"")
        except InvalidTag:
            raise Refused(f"step 7: chunk {index} does not open") from None

    def range(self, start, end):
        """The plaintext bytes start..end. Reads only the chunks they lie in."""
        if not 0 <= start < end <= self.size:
            raise Refused(f"range is not within the {self.size} bytes of the document")
        for index in range(start // CHUNK, (end - 1) // CHUNK + 1):
            plain = self.chunk(index)
            low = max(start - index * CHUNK, 0)
            yield plain[low : end - index * CHUNK]

    def whole(self):
        """All plaintext bytes, through the stock decryptor; 8. ends with the root of the ciphertext."""
        root = blake3.blake3()
        decryptor = Cobblestone256Decryptor(self.dek, self.context)
        self.file.seek(self.offset)
        left, size = self.payload_len, 0
        try:
            while left:
                data = self.file.read(min(left, READ))
                if not data:
                    raise Refused("payload is cut short")
                left -= len(data)
                root.update(data)
                plain = decryptor.update(data)
                size += len(plain)
                yield plain
            plain = decryptor.finalize()
            size += len(plain)
            yield plain
        except InvalidTag:
            raise Refused("step 7: a chunk does not open") from None
        if size != self.size:
            raise Refused("step 7: document has another length than was signed")
        if not hmac.compare_digest(root.digest(), self.payload_root):
            raise Refused("step 8: payload is not the one that was signed")


# --- command line -----------------------------------------------------------------------------------------------------


def read_identities(path):
    """The identities in a file as `age` reads it: one a line, `#` begins a comment. `-` is standard input."""
    with sys.stdin if path == "-" else open(path, encoding="ascii") as file:
        lines = [line.strip() for line in file]
    found = [Identity(line) for line in lines if line and not line.startswith("#")]
    if not found:
        raise Refused(f"no identity in {path}")
    return found


def read_signer(path):
    """A composite public key: 1,984 bytes, as they are, in hex or in base64."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) != COMPOSITE_PUBLIC:
        text = re.sub(rb"\s", b"", data)
        data = bytes.fromhex(text.decode()) if len(text) == 2 * COMPOSITE_PUBLIC else base64.b64decode(text, validate=True)
    if len(data) != COMPOSITE_PUBLIC:
        raise Refused(f"signer's public key in {path} does not have {COMPOSITE_PUBLIC} bytes")
    return key_id(0x0100 + SIG_COMPOSITE, data), data


def write_out(path, parts):
    """Writes a file that is there only if everything was right."""
    folder = os.path.dirname(os.path.abspath(path))
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".open-", delete=False) as file:
        try:
            for part in parts:
                file.write(part)
            os.chmod(file.name, stat.S_IRUSR | stat.S_IWUSR)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def parse_range(text):
    match = re.fullmatch(r"(\d+)-(\d+)", text)
    if not match or int(match[1]) >= int(match[2]):
        raise argparse.ArgumentTypeError("a range is START-END: first byte, and the byte after the last")
    return int(match[1]), int(match[2])


def main():
    parser = argparse.ArgumentParser(description="Opens a sealed object with stock packages only.")
    parser.add_argument("sealed", help="the sealed object")
    parser.add_argument("-i", "--identity", required=True, metavar="FILE", help="file with AGE-SECRET-KEY-PQ-1... (- for standard input)")
    parser.add_argument("-s", "--signer", required=True, action="append", metavar="FILE", help="signer's public key: raw, hex or base64; may be repeated")
    parser.add_argument("-o", "--output", metavar="FILE", help="where the document goes")
    parser.add_argument("--range", type=parse_range, metavar="A-B", help="only the bytes A..B (B not included)")
    parser.add_argument("--tenant", help="refuse an object of another tenant")
    parser.add_argument("--object", type=uuid.UUID, help="refuse another object")
    parser.add_argument("--info", action="store_true", help="print what is known about the object as JSON")
    args = parser.parse_args()
    if not args.output and not args.info:
        parser.error("say where the document goes (-o FILE), or --info")
    try:
        signers = dict(read_signer(path) for path in args.signer)
        with open(args.sealed, "rb") as file:
            opened = Opened(file, read_identities(args.identity), signers, args.tenant, args.object)
            private = opened.private()
            if args.output:
                write_out(args.output, opened.range(*args.range) if args.range else opened.whole())
            if args.info:
                about = {
                    "object": str(opened.core["object"]),
                    "sealed_at_ms": opened.core["sealed_at"],
                    "signer": opened.core["signer"].hex(),
                    "opened_as": opened.role,
                    "header": opened.header.hex(),
                    "payload_root": opened.payload_root.hex(),
                    "size": opened.size,
                    "private": private,
                }
                print(json.dumps(about, ensure_ascii=False))
    except (Refused, OSError, ValueError) as error:
        print(f"open.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
