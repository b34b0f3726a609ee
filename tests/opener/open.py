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
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

MAGIC = b"SEALED\x00\x01"
PREFIX_LEN = 20
CORE_MIN, CORE_MAX = 62, 65536
RECIPIENTS_MIN, RECIPIENTS_MAX = 60, 1 << 20
SIGNATURE_BLOCK_MIN, SIGNATURE_BLOCK_MAX = 59, 65536
SUITE = 0x0001
FLAG_DETACHED, FLAG_ERASABLE = 1, 2
EXT_CONTEXT, EXT_PRIVATE = 0x0001, 0x0002
EXT_SOURCE, EXT_RETENTION, EXT_ERASE_TOKEN = 0x0003, 0x0004, 0x8005
ROLES = {1: "tenant", 2: "recovery", 3: "grantee", 4: "service"}
ALG_XWING, ALG_MLKEM = 0x0001, 0x0003
BODY_LEN = {0x0001: 1168, 0x0002: 1201, 0x0003: 1136}
SIG_COMPOSITE, SIG_MLDSA, SIG_BATCH = 0x01, 0x02, 0x03
MLDSA_PUBLIC, MLDSA_SIGNATURE = 1952, 3309
PUBLIC_LEN = {SIG_COMPOSITE: MLDSA_PUBLIC + 32, SIG_MLDSA: MLDSA_PUBLIC}
SIGNATURE_LEN = {SIG_COMPOSITE: MLDSA_SIGNATURE + 64, SIG_MLDSA: MLDSA_SIGNATURE, SIG_BATCH: MLDSA_SIGNATURE + 64}
BATCH_MAX = 256
# What is opened unless the caller allows more (SPEC.md, section 4): stanza and signature algorithms.
DEFAULT_POLICY = (frozenset({ALG_XWING}), frozenset({SIG_COMPOSITE, SIG_BATCH}))
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
    """A recipient's private key."""

    def __init__(self, algorithm, kem, key, public):
        self.algorithm, self.kem, self.key = algorithm, kem, key
        self.id = key_id(algorithm, public)

    @classmethod
    def from_text(cls, text):
        """From `AGE-SECRET-KEY-PQ-1...`."""
        hrp, seed = bech32_decode(text.strip())
        if hrp != "AGE-SECRET-KEY-PQ-" or len(seed) != 32:
            raise Refused("identity: not an AGE-SECRET-KEY-PQ-1 key of 32 bytes")
        return cls.x_wing(seed)

    @classmethod
    def x_wing(cls, seed):
        """MLKEM768-X25519: SHAKE-256 expands 32 bytes of seed into ML-KEM's d || z and the X25519 scalar."""
        expanded = hashlib.shake_256(seed).digest(96)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        return cls(ALG_XWING, KEM.MLKEM768_X25519, MLKEM768X25519PrivateKey(mlkem, x25519), public)

    @classmethod
    def ml_kem(cls, seed):
        """ML-KEM-768 alone: 64 bytes d || z."""
        key = MLKEM768PrivateKey.from_seed_bytes(seed)
        return cls(ALG_MLKEM, KEM.MLKEM768, key, key.public_key().public_bytes_raw())

    def unwrap(self, stanza, header):
        info = b"SEALED/v1 wrap\x00" + bytes([stanza["role"]]) + stanza["id"] + header
        try:
            return Suite(self.kem, KDF.HKDF_SHA256, AEAD.AES_256_GCM).decrypt(stanza["body"], self.key, info)
        except (InvalidTag, ValueError):
            raise Refused("step 4: stanza does not open") from None


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
    if fields["flags"] & ~(FLAG_DETACHED | FLAG_ERASABLE):
        raise Refused(f"step 1: flags {fields['flags']:#06x} are not known")
    found, before = {}, -1
    while extensions.at < len(extensions.data):
        kind, value = extensions.number(2), extensions.take(extensions.number(2))
        if kind <= before:
            raise Refused("step 1: extensions are not strictly ascending")
        if kind & 0x8000 and kind != EXT_ERASE_TOKEN:
            raise Refused(f"step 1: critical extension {kind:#06x} is not known")
        check_extension(kind, value)
        found[kind], before = value, kind
    if bool(fields["flags"] & FLAG_ERASABLE) != (EXT_ERASE_TOKEN in found):
        raise Refused("step 1: erasable without erase token, or the other way round")
    if fields["flags"] & FLAG_ERASABLE:
        raise Refused("step 1: erasable objects are not supported")
    fields["extensions"] = found
    return fields


def check_extension(kind, value):
    right = {
        EXT_CONTEXT: lambda: context(value) is not None,
        EXT_PRIVATE: lambda: len(value) >= TAG,
        EXT_SOURCE: lambda: len(value) == 32,
        EXT_RETENTION: lambda: 1 <= len(value) <= 64 and all(0x21 <= b <= 0x7E for b in value),
        EXT_ERASE_TOKEN: lambda: len(value) == 16,
    }
    if not right.get(kind, lambda: True)():
        raise Refused(f"step 1: extension {kind:#06x} is malformed")


def context(value):
    """The public context: key 00 value, joined by 00; None if it is malformed."""
    try:
        parts = value.decode().split("\0")
    except UnicodeDecodeError:
        return None
    keys = [key.encode() for key in parts[::2]]
    if len(parts) % 2 or not all(keys) or any(a >= b for a, b in zip(keys, keys[1:])):
        return None
    return dict(zip(parts[::2], parts[1::2]))


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
    if len({(s["role"], s["alg"], s["id"]) for s in stanzas}) != count:
        raise Refused("step 1: a stanza comes twice")
    return stanzas, block[:-32], block[-32:]


def parse_signature(block):
    cursor = Cursor(block, "signature block")
    fields = {"alg": cursor.number(1), "signer": cursor.take(16)}
    fields["certificate"] = cursor.take(cursor.number(2))
    fields["payload_len"] = cursor.number(8)
    fields["payload_root"] = cursor.take(32)
    if fields["alg"] == SIG_BATCH:
        size, index = cursor.number(2), cursor.number(2)
        if not 0 <= index < size <= BATCH_MAX:
            raise Refused("step 1: no batch has such a place")
        fields["place"] = size, index, [cursor.take(32) for _ in range(path_len(index, size))]
    fields["signature"] = cursor.rest()
    if len(fields["signature"]) != SIGNATURE_LEN.get(fields["alg"]):
        raise Refused("step 1: signature algorithm is not known, or the signature has a wrong length")
    body = fields["payload_len"] - PAYLOAD_HEAD
    if body < 0 or body % STEP < TAG or body // STEP >= 1 << 38:
        raise Refused("step 1: no document has a payload of this length")
    return fields


def left(size):
    """Leaves in the left subtree: the largest power of two below the size (RFC 9162, 2.1.1)."""
    return 1 << (size - 1).bit_length() - 1


def path_len(index, size):
    """Length of PATH(index, D[size])."""
    if size == 1:
        return 0
    k = left(size)
    return 1 + (path_len(index, k) if index < k else path_len(index - k, size - k))


def root_from(leaf, index, size, path):
    """The root of the tree in which `leaf` has this place; the path goes from the leaf upwards."""
    if size == 1:
        return leaf
    k, sibling = left(size), path[-1]
    if index < k:
        return sha256(b"\x01", root_from(leaf, index, k, path[:-1]), sibling)
    return sha256(b"\x01", sibling, root_from(leaf, index - k, size - k, path[:-1]))


def verify_block(block, public, statement):
    """The statement's own signature, or the one over the batch it stands in."""
    if block["alg"] != SIG_BATCH:
        verify(block["alg"], public, statement, block["signature"])
        return
    size, index, path = block["place"]
    root = root_from(sha256(b"\x00", statement), index, size, path)
    message = b"SEALED/v1 batch\x00" + struct.pack(">H", size) + root + block["signer"]
    verify(SIG_COMPOSITE, public, message, block["signature"], b"SEALED/v1 origin batch")


def verify(algorithm, public, statement, signature, origin=b"SEALED/v1 origin"):
    """Composite as in draft-ietf-lamps-pq-composite-sigs-19, MLDSA65-Ed25519-SHA512: both halves must hold; or ML-DSA-65 alone."""
    label = b"COMPSIG-MLDSA65-Ed25519-SHA512"
    ml_dsa = MLDSA65PublicKey.from_public_bytes(public[:MLDSA_PUBLIC])
    try:
        if algorithm == SIG_MLDSA:
            ml_dsa.verify(signature, statement, origin)
            return
        message = b"CompositeAlgorithmSignatures2025" + label + bytes([len(origin)]) + origin
        message += hashlib.sha512(statement).digest()
        ml_dsa.verify(signature[:MLDSA_SIGNATURE], message, label)
        Ed25519PublicKey.from_public_bytes(public[MLDSA_PUBLIC:]).verify(signature[MLDSA_SIGNATURE:], message)
    except InvalidSignature:
        raise Refused("step 2: signature is wrong") from None


# --- opening ----------------------------------------------------------------------------------------------------------


class Opened:
    """A sealed object up to step 6, in the one order of SPEC.md."""

    def __init__(self, file, identities, signers, tenant=None, object_id=None, detached=None, policy=DEFAULT_POLICY):
        stanza_algorithms, signature_algorithms = policy
        # 1. Parse.
        prefix = file.read(PREFIX_LEN)
        if len(prefix) < PREFIX_LEN or prefix[:8] != MAGIC:
            raise Refused("step 1: not a sealed object of version 1")
        core_len, recipients_len, signature_len = struct.unpack(">III", prefix[8:])
        if not CORE_MIN <= core_len <= CORE_MAX or not RECIPIENTS_MIN <= recipients_len <= RECIPIENTS_MAX:
            raise Refused("step 1: a length is out of bounds")
        if signature_len and not SIGNATURE_BLOCK_MIN <= signature_len <= SIGNATURE_BLOCK_MAX:
            raise Refused("step 1: a length is out of bounds")
        head = file.read(core_len + recipients_len + signature_len)
        payload_head = file.read(PAYLOAD_HEAD)
        if len(head) < core_len + recipients_len + signature_len or len(payload_head) < PAYLOAD_HEAD:
            raise Refused("step 1: object is cut short")
        core, rest = head[:core_len], head[core_len:]
        recipients, signature = rest[:recipients_len], rest[recipients_len:]
        self.core = parse_core(core)
        stanzas, authenticated, mac = parse_recipients(recipients)
        if bool(self.core["flags"] & FLAG_DETACHED) != (signature_len == 0):
            raise Refused("step 1: the flag for a detached signature contradicts the lengths")
        if signature_len == 0 and detached is None:
            raise Refused("step 2: the signature is detached and was not given")
        block = parse_signature(signature or detached)
        if block["signer"] != self.core["signer"]:
            raise Refused("step 1: core and signature name different signers")
        self.header = sha256(MAGIC, core)

        # 2. The signer, from whoever opens and never from the file; the signature.
        if block["alg"] not in signature_algorithms:
            raise Refused("step 2: signature algorithm is not allowed")
        if block["certificate"]:
            raise Refused("step 2: object carries a certificate, and certificates are not supported")
        public = signers.get(self.core["signer"])
        if public is None:
            raise Refused(f"step 2: signer {self.core['signer'].hex()} is not trusted")
        statement = b"SEALED/v1 statement\x00" + self.header + sha256(recipients)
        statement += struct.pack(">Q", block["payload_len"]) + block["payload_root"] + block["signer"]
        verify_block(block, public, statement)
        self.payload_len, self.payload_root = block["payload_len"], block["payload_root"]

        # 3. Whose it is.
        if tenant is not None and self.core["tenant"] != sha256(b"SEALED/v1 tenant\x00", tenant.encode())[:16]:
            raise Refused("step 3: object belongs to another tenant")
        if object_id is not None and self.core["object"] != object_id:
            raise Refused("step 3: this is another object")

        # 4. The data key.
        mine = [(i, t) for t in stanzas if t["alg"] in stanza_algorithms for i in identities]
        mine = [(i, t) for i, t in mine if (i.algorithm, i.id) == (t["alg"], t["id"])]
        failed = Refused("step 4: no stanza is for this identity")
        for identity, stanza in mine:
            try:
                self.dek, self.role = identity.unwrap(stanza, self.header), ROLES[stanza["role"]]
                break
            except Refused as error:
                failed = error
        else:
            raise failed

        # 5. The recipients' MAC.
        mac_key = expand(self.dek, b"SEALED/v1 recipients-mac\x00" + self.header, 32)
        expected = hmac.new(mac_key, MAGIC + self.header + authenticated, "sha256").digest()
        if not hmac.compare_digest(expected, mac):
            raise Refused("step 5: recipients' MAC is wrong")

        # 6. The payload's head: salt and commitment.
        self.file, self.offset = file, PREFIX_LEN + len(head)
        self.context = b"SEALED/v1 payload\x00" + self.header
        salt, commitment = payload_head[:24], payload_head[24:]
        info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + salt + self.context
        keys = expand(self.dek, info, 32 + 12 + 32)
        self.aead, self.nonce = AESGCM(keys[:32]), int.from_bytes(keys[32:44], "big")
        if not hmac.compare_digest(keys[44:], commitment):
            raise Refused("step 6: commitment is wrong")
        self.last, tail = divmod(self.payload_len - PAYLOAD_HEAD, STEP)
        self.size = self.last * CHUNK + tail - TAG

    def check_length(self):
        """The signed length says how long the object is."""
        self.file.seek(0, os.SEEK_END)
        if self.file.tell() != self.offset + self.payload_len:
            raise Refused("step 7: payload is longer or shorter than was signed")

    def at(self, offset, length):
        self.file.seek(self.offset + offset)
        data = self.file.read(length)
        if len(data) != length:
            raise Refused("step 7: payload is cut short")
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
        self.check_length()
        for index in range(start // CHUNK, (end - 1) // CHUNK + 1):
            plain = self.chunk(index)
            low = max(start - index * CHUNK, 0)
            yield plain[low : end - index * CHUNK]

    def whole(self):
        """All plaintext bytes, through the stock decryptor; 8. ends with the root of the ciphertext."""
        self.check_length()
        root = blake3.blake3()
        decryptor = Cobblestone256Decryptor(self.dek, self.context)
        self.file.seek(self.offset)
        left, size = self.payload_len, 0
        try:
            while left:
                data = self.file.read(min(left, READ))
                if not data:
                    raise Refused("step 7: payload is cut short")
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
    found = [Identity.from_text(line) for line in lines if line and not line.startswith("#")]
    if not found:
        raise Refused(f"no identity in {path}")
    return found


def read_signer(path):
    """A composite public key: 1,984 bytes, as they are, in hex or in base64."""
    with open(path, "rb") as file:
        data = file.read()
    wanted = PUBLIC_LEN[SIG_COMPOSITE]
    if len(data) != wanted:
        text = re.sub(rb"\s", b"", data)
        data = bytes.fromhex(text.decode()) if len(text) == 2 * wanted else base64.b64decode(text, validate=True)
    if len(data) != wanted:
        raise Refused(f"signer's public key in {path} does not have {wanted} bytes")
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
    parser.add_argument("--signature", metavar="FILE", help="the signature block, if it is kept beside the object")
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
        detached = None
        if args.signature:
            with open(args.signature, "rb") as file:
                detached = file.read(SIGNATURE_BLOCK_MAX + 1)
        with open(args.sealed, "rb") as file:
            opened = Opened(file, read_identities(args.identity), signers, args.tenant, args.object, detached)
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
                    "context": context(opened.core["extensions"].get(EXT_CONTEXT, b"")) or {},
                    "private": private,
                }
                print(json.dumps(about, ensure_ascii=False))
    except (Refused, OSError, ValueError) as error:
        print(f"open.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
