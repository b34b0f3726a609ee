#!/usr/bin/env python3
"""Runs open.py over the vectors of the format: python3 vectors.py schemas/envelope/vectors/sealed

Every file that must open is opened (with the tenant's and with the recovery key, whole and in a range) and every other one must be refused in the step
that the index names. Prints one line and exits with 1 if any differs.
"""

import hashlib
import importlib.util
import io
import json
import os
import re
import sys
import uuid

spec = importlib.util.spec_from_file_location("opener", os.path.join(os.path.dirname(os.path.abspath(__file__)), "open.py"))
opener = importlib.util.module_from_spec(spec)
spec.loader.exec_module(opener)


def load(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def policy(allow):
    stanzas, signatures = map(set, opener.DEFAULT_POLICY)
    for entry in allow:
        kind, number = entry.split()
        {"stanza": stanzas, "signature": signatures}[kind].add(int(number, 16))
    return stanzas, signatures


def check(folder, keys, signers, entry):
    """What is wrong with one vector; an empty list if nothing is."""
    data = load(folder, entry["file"])
    detached = load(folder, entry["detached"]) if "detached" in entry else None
    seeds = [("tenant", keys["tenant_key"], "tenant_seed"), ("recovery", keys["recovery_key"], "recovery_seed")]
    wrong = []
    for role, key, name in seeds:
        identities = [
            opener.Identity.x_wing(bytes.fromhex(key["seed"])),
            opener.Identity.ml_kem(bytes.fromhex(keys["ml_kem_768"][name])),
        ]
        try:
            bound = (keys["tenant"], uuid.UUID(keys["object_id"]), detached, policy(entry.get("allow", [])))
            opened = opener.Opened(io.BytesIO(data), identities, signers, *bound)
            opened.private()
            plain = b"".join(opened.whole())
        except opener.Refused as error:
            found = re.match(r"step (\d)", str(error))
            step = int(found[1]) if found else None
            if entry["result"] != "refused" or step != entry["step"]:
                wrong.append(f"{role}: {error}")
            continue
        if entry["result"] != "opens":
            wrong.append(f"{role}: opened")
        elif hashlib.sha256(plain).hexdigest() != entry["plaintext_sha256"] or opened.role != role:
            wrong.append(f"{role}: another plaintext or role")
        elif plain:
            start, end = len(plain) // 3, max(len(plain) * 2 // 3, len(plain) // 3 + 1)
            if b"".join(opened.range(start, end)) != plain[start:end]:
                wrong.append(f"{role}: another range")
    return wrong


def main():
    folder = sys.argv[1]
    keys, index = json.loads(load(folder, "keys.json")), json.loads(load(folder, "index.json"))
    signers = {}
    for name, algorithm in (("signer", opener.SIG_COMPOSITE), ("signer_ml_dsa_65_alone", opener.SIG_MLDSA)):
        public = bytes.fromhex(keys[name]["public"])
        signers[opener.key_id(0x0100 + algorithm, public)] = public
    failed = 0
    for entry in index:
        for problem in check(folder, keys, signers, entry):
            failed += 1
            print(f"{entry['file']}: {problem}; expected {entry['result']} {entry.get('step', '')}")
    print(f"{len(index)} vectors, {failed} problems")
    return 1 if failed or not index else 0


if __name__ == "__main__":
    sys.exit(main())
