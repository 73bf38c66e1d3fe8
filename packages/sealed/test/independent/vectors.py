"""Opens every frozen vector of the formats with code that shares nothing with the product's.

Usage: vectors.py format-1.json. Signatures are checked by the openssl command. Prints the number of
vectors that were checked; fails at the first one that does not open, or that opens with a byte changed.
"""

import base64
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile

from primitives import (
    SecretStream,
    blake2b,
    field_inverse,
    field_product,
    x25519,
    BASE_POINT,
    xchacha_open,
    xwing_open,
    xwing_public,
)

CONTENT = b"correct horse battery staple"
CLUSTER, NODE, SECRET = "clusteraaaaaaaaaaaaaaaaaaa", "nodebbbbbbbbbbbbbbbbbbbbbb", "secretcccccccccccccccccccc"
HASH = bytes([7]) * 32
PLAIN, COMMITTING = 1, 2


class Random:
    """The randomness that the vectors were made with: SHA-256 in counter mode."""

    def __init__(self, seed):
        self.seed, self.counter = seed, 0

    def bytes(self, count):
        out = b""
        while len(out) < count:
            out += hashlib.sha256(f"{self.seed}/{self.counter}".encode()).digest()
            self.counter += 1
        return out[:count]


def fields(*values):
    out = b""
    for value in values:
        raw = value.encode() if isinstance(value, str) else value
        raw = struct.pack(">Q", raw) if isinstance(raw, int) else raw
        out += struct.pack(">I", len(raw)) + raw
    return out


def split(data):
    parts, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        parts.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    assert at == len(data), "a field is cut off"
    return parts


def tuple_of(purpose, algorithm, key_id, *values):
    return b"CV" + bytes([purpose, 1, algorithm]) + struct.pack(">I", key_id) + fields(*values)


def open_envelope(envelope, key, purpose, values, key_id=9):
    assert envelope[:5] == b"CVEN\x01"
    algorithm, found, nonce = envelope[5], struct.unpack_from(">I", envelope, 6)[0], envelope[10:34]
    (size,) = struct.unpack_from(">I", envelope, 34)
    at = 38
    if algorithm == COMMITTING:
        assert envelope[38:70] == blake2b(b"commit", nonce, key=key), "commitment"
        at = 70
    assert found == key_id and size == len(envelope) - at
    return xchacha_open(key, nonce, tuple_of(purpose, algorithm, key_id, *values), envelope[at:])


def unpad(data):
    at = data.rstrip(b"\x00")
    assert at[-1:] == b"\x80"
    return at[:-1]


def subkey(root, context):
    salt, person = struct.pack("<Q", 1) + bytes(8), context.encode() + bytes(8)
    return blake2b(key=root, salt=salt, person=person)


def base32(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


def checked_text(text):
    """The parts of a text that ends with four bytes of its own hash."""
    body, check = text[: text.rindex("-") + 1], text[text.rindex("-") + 1 :]
    assert base32(check) == blake2b(body.encode())[:4], "check of a text"
    return text.split("-")


def signed(public, message, signature):
    spki = bytes.fromhex("302a300506032b6570032100") + public
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("key", spki), ("message", message), ("signature", signature)):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        command = "pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile signature"
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


def public_of(seed):
    """The Ed25519 public key of a seed, by openssl."""
    der = bytes.fromhex("302e020100300506032b657004220420") + seed
    command = ["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"]
    return subprocess.run(command, input=der, check=True, capture_output=True).stdout[-32:]


def open_recipient(sealed, seed, context):
    assert sealed[:5] == b"CVRS\x01"
    if sealed[5] == 1:
        ciphertext, envelope = sealed[6 : 6 + 1120], sealed[6 + 1120 :]
        public, shared = xwing_open(seed, ciphertext)
    else:
        ciphertext, envelope = sealed[6:38], sealed[38:]
        public, shared = x25519(seed, BASE_POINT), x25519(seed, ciphertext)
    public = sealed[5:6] + public
    key = blake2b(fields("CV-SEAL-1", public, ciphertext, context), key=shared)
    return open_envelope(envelope, key, 15, [context], key_id=0)


ENVELOPES = {
    "storage entry": (5, [CLUSTER, NODE, 1, 2, 3, "EntryNormal", HASH]),
    "snapshot chunk": (6, [CLUSTER, NODE, 1, 2, 3, 4, HASH]),
    "hard state": (7, [CLUSTER, NODE, 1, 2]),
    "backup chunk": (11, [HASH, 5]),
    "local key file": (13, [CLUSTER, NODE]),
    "ring file": (14, [CLUSTER, NODE, 1]),
    "storage epochs": (17, [CLUSTER, NODE]),
}


def check_envelope(name, data, random):
    purpose, values = ENVELOPES[name]
    assert open_envelope(data, random.bytes(32), purpose, values) == CONTENT


def check_recipient(name, data, random):
    assert data[5] == (1 if name.endswith("X-Wing") else 2)
    assert open_recipient(data, random.bytes(32), b"context") == CONTENT


def check_ring(_name, data, random):
    rows = b"".join(struct.pack(">I", number) + random.bytes(32) for number in (1, 2))
    assert data == b"CVKR\x01" + struct.pack(">IB", 2, 2) + rows


def check_value(_name, data, random):
    root = random.bytes(32)
    key_id, size, wrapped, envelope = split(data)
    assert key_id == struct.pack(">Q", 1) and size == struct.pack(">Q", 64)
    place = [CLUSTER, SECRET, 3]
    dek = open_envelope(wrapped, subkey(root, "cvwrap__"), 2, place, key_id=1)
    value = open_envelope(envelope, dek, 1, [*place, 64], key_id=0)
    assert len(value) == 64 and unpad(value) == CONTENT


def check_ca_key(_name, data, random):
    key = subkey(random.bytes(32), "cvcakey_")
    assert open_envelope(data, key, 3, [CLUSTER, "0a0b"], key_id=1) == CONTENT


def check_intake(_name, data, random):
    seed = subkey(random.bytes(32), "cvintake")
    assert data[:4] == struct.pack(">I", 1)
    context = tuple_of(12, COMMITTING, 1, CLUSTER, b"app/db")
    assert unpad(open_recipient(data[4:], seed, context)) == CONTENT


def check_digest(_name, data, random):
    key = subkey(random.bytes(32), "cvdigest")
    assert data == blake2b(fields(SECRET), CONTENT, key=key)


def check_session(_name, data, random):
    signing, seed = random.bytes(32), random.bytes(32)
    kem, nonce_a, ciphertext, nonce_m, header, transcript, signature, *frames = split(data)
    public, shared = xwing_open(seed, ciphertext)
    assert kem == b"\x01" + public
    context = fields(1, "boot", 2, 30, "session")
    hello = blake2b(fields(kem, nonce_a))
    accept = blake2b(fields(ciphertext, nonce_m, header))
    names = ["CV-AGENT-1", CLUSTER, NODE, "0a", "0b", context]
    assert transcript == blake2b(fields(*names, hello, accept))
    signed(public_of(signing), fields("CV-ACCEPT-1", transcript), signature)
    stream = SecretStream(blake2b(fields("CV-AGENT-1", transcript), key=shared), header)
    place = fields(30, 2, SECRET, 3, blake2b(fields("task a", "task b")))
    wanted = [(0, b"", place), (0, b"x", place), (0, CONTENT, place), (3, b"", b"")]
    assert len(frames) == len(wanted)
    for sequence, (frame, (tag, text, about)) in enumerate(zip(frames, wanted)):
        aad = tuple_of(10, PLAIN, 0, sequence, about)
        assert stream.pull(aad, frame) == (tag, text), "frame"


def check_token(_name, data, random):
    pin, number, seed = random.bytes(32), random.bytes(8), random.bytes(32)
    text, public, signature = split(data)
    label, role, *parts, _ = checked_text(text.decode())
    assert (label, role) == ("cvj1", "m")
    assert [base32(part) for part in parts] == [pin, number, seed]
    assert public == public_of(seed)
    signed(public, fields("CV-JOIN-1", CONTENT), signature)


def recovery_id(public):
    return blake2b(fields("CV-RECOVERY-1", public))[:8]


def check_recovery(_name, data, random):
    seed = random.bytes(32)
    public_hash, text = split(data)
    public = b"\x01" + xwing_public(seed)
    assert public_hash == blake2b(public)
    label, number, key, _ = checked_text(text.decode())
    assert (label, base32(number), base32(key)) == ("cvrk1", recovery_id(public), seed)


def check_shares(_name, data, random):
    seed = random.bytes(32)
    public_hash, *rest = split(data)
    public = b"\x01" + xwing_public(seed)
    assert public_hash == blake2b(public) and len(rest) == 6
    shares = {}
    for text in rest[3:]:
        label, number, place, share, _ = checked_text(text.decode())
        threshold, count, index = base32(place)
        assert (label, base32(number)) == ("cvrs1", recovery_id(public))
        assert (threshold, count) == (2, 3)
        shares[index] = base32(share)
    assert sorted(shares) == [1, 2, 3]
    for i in shares:
        for j in shares:
            if i != j:
                weights = [field_product(b, field_inverse(a ^ b)) for a, b in ((i, j), (j, i))]
                pairs = zip(shares[i], shares[j])
                both = [field_product(a, weights[0]) ^ field_product(b, weights[1]) for a, b in pairs]
                assert bytes(both) == seed


def check_hashes(_name, data, random):
    of_fields, keyed = split(data)
    assert of_fields == blake2b(fields(CONTENT, 2**40, HASH))
    assert keyed == blake2b(CONTENT, key=random.bytes(32))


CHECKS = {
    **{name: check_envelope for name in ENVELOPES},
    "recipient of X-Wing": check_recipient,
    "recipient of X25519": check_recipient,
    "key ring": check_ring,
    "value": check_value,
    "key of the CA": check_ca_key,
    "intake": check_intake,
    "digest of a value": check_digest,
    "session": check_session,
    "token": check_token,
    "recovery key": check_recovery,
    "shares of a recovery key": check_shares,
    "hashes": check_hashes,
}


def opens(name, vector):
    """None, or what is wrong with it."""
    try:
        CHECKS[name](name, vector, Random(name))
    except Exception as error:
        return f"{type(error).__name__} {error}"
    return None


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        vectors = json.load(file)
    assert sorted(vectors) == sorted(CHECKS), "a vector without a check, or a check without one"
    for name, text in vectors.items():
        vector = bytes.fromhex(text)
        found = opens(name, vector)
        if found is not None:
            sys.exit(f"{name}: {found}")
        for at in (0, len(vector) // 2, len(vector) - 1):
            if opens(name, vector[:at] + bytes([vector[at] ^ 1]) + vector[at + 1 :]) is None:
                sys.exit(f"{name}: byte {at} may be changed")
    print(len(vectors))
