"""The algorithms of the formats, written from their specifications, with Python's hashlib alone.

For checking vectors: slow, and not in constant time.
"""

import hashlib
import struct

MASK = 0xFFFFFFFF
Q = 3329
K = 3


def blake2b(*parts, key=b"", salt=b"", person=b""):
    return hashlib.blake2b(b"".join(parts), digest_size=32, key=key, salt=salt, person=person).digest()


def rounds(state):
    """The twenty rounds of ChaCha (RFC 8439, section 2.3)."""
    work = list(state)

    def quarter(a, b, c, d):
        for into, other, turn, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            work[into] = (work[into] + work[other]) & MASK
            mixed = work[turn] ^ work[into]
            work[turn] = ((mixed << by) | (mixed >> (32 - by))) & MASK

    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            quarter(column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return work


def chacha_state(key, tail):
    return list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + tail)


def hchacha20(key, nonce16):
    work = rounds(chacha_state(key, struct.unpack("<4I", nonce16)))
    return struct.pack("<8I", *(work[:4] + work[12:]))


def chacha20(key, nonce12, counter, data):
    out = bytearray()
    for start in range(0, len(data), 64):
        tail = ((counter + start // 64) & MASK,) + struct.unpack("<3I", nonce12)
        state = chacha_state(key, tail)
        block = struct.pack("<16I", *((a + b) & MASK for a, b in zip(rounds(state), state)))
        out += bytes(a ^ b for a, b in zip(data[start : start + 64], block))
    return bytes(out)


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for start in range(0, len(message), 16):
        block = message[start : start + 16] + b"\x01"
        total = (total + int.from_bytes(block, "little")) * r % ((1 << 130) - 5)
    return ((total + int.from_bytes(key[16:], "little")) & ((1 << 128) - 1)).to_bytes(16, "little")


def padded16(data):
    return data + bytes(-len(data) % 16)


def xchacha_open(key, nonce24, aad, sealed):
    """XChaCha20-Poly1305 of draft-irtf-cfrg-xchacha; fails when the tag differs."""
    subkey, nonce = hchacha20(key, nonce24[:16]), bytes(4) + nonce24[16:]
    text, tag = sealed[:-16], sealed[-16:]
    once = chacha20(subkey, nonce, 0, bytes(32))
    sizes = struct.pack("<QQ", len(aad), len(text))
    assert poly1305(once, padded16(aad) + padded16(text) + sizes) == tag, "tag"
    return chacha20(subkey, nonce, 1, text)


class SecretStream:
    """crypto_secretstream_xchacha20poly1305 of libsodium, the opening end."""

    def __init__(self, key, header):
        self.key = hchacha20(key, header[:16])
        self.inner = header[16:]
        self.counter = 1

    def pull(self, aad, message):
        nonce = struct.pack("<I", self.counter) + self.inner
        once = chacha20(self.key, nonce, 0, bytes(32))
        mark, text, tag = message[0], message[1:-16], message[-16:]
        block = bytearray(chacha20(self.key, nonce, 1, bytes([mark]) + bytes(63)))
        found, block[0] = block[0], mark
        # The padding behind the text is that of libsodium: 16 - 64 + size, modulo 16.
        authenticated = padded16(aad) + bytes(block) + text + bytes((16 - 64 + len(text)) % 16)
        authenticated += struct.pack("<QQ", len(aad), 64 + len(text))
        assert poly1305(once, authenticated) == tag, "stream tag"
        plaintext = chacha20(self.key, nonce, 2, text)
        self.inner = bytes(a ^ b for a, b in zip(self.inner, tag))
        self.counter = (self.counter + 1) & MASK
        return found, plaintext


# ML-KEM-768, FIPS 203.


def reversed_bits(number):
    return int(f"{number:07b}"[::-1], 2)


ZETAS = [pow(17, reversed_bits(i), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * reversed_bits(i) + 1, Q) for i in range(128)]


def ntt(poly):
    f, k, size = list(poly), 1, 128
    while size >= 2:
        for start in range(0, 256, 2 * size):
            for j in range(start, start + size):
                t = ZETAS[k] * f[j + size]
                f[j], f[j + size] = (f[j] + t) % Q, (f[j] - t) % Q
            k += 1
        size //= 2
    return f


def inverse_ntt(poly):
    f, k, size = list(poly), 127, 2
    while size <= 128:
        for start in range(0, 256, 2 * size):
            for j in range(start, start + size):
                t = f[j]
                f[j], f[j + size] = (t + f[j + size]) % Q, ZETAS[k] * (f[j + size] - t) % Q
            k -= 1
        size *= 2
    return [x * 3303 % Q for x in f]


def product(f, g):
    h = []
    for i, gamma in enumerate(GAMMAS):
        a, b, c, d = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        h += [(a * c + b * d * gamma) % Q, (a * d + b * c) % Q]
    return h


def plus(f, g):
    return [(a + b) % Q for a, b in zip(f, g)]


def inner(fs, gs):
    total = [0] * 256
    for f, g in zip(fs, gs):
        total = plus(total, product(f, g))
    return total


def sample_ntt(seed):
    stream, found, at = hashlib.shake_128(seed).digest(3 * 1024), [], 0
    while len(found) < 256:
        a, b, c = stream[at : at + 3]
        found += [x for x in (a + 256 * (b % 16), b // 16 + 16 * c) if x < Q]
        at += 3
    return found[:256]


def small(seed, number):
    data = int.from_bytes(hashlib.shake_256(seed + bytes([number])).digest(128), "little")
    nibbles = [(data >> (4 * i)) & 15 for i in range(256)]
    return [((n & 1) + (n >> 1 & 1) - (n >> 2 & 1) - (n >> 3)) % Q for n in nibbles]


def pack(poly, width):
    total = sum(x << (width * i) for i, x in enumerate(poly))
    return total.to_bytes(32 * width, "little")


def unpack(data, width):
    total, mask = int.from_bytes(data, "little"), (1 << width) - 1
    return [(total >> (width * i)) & mask for i in range(256)]


def compress(poly, width):
    return [((x << (width + 1)) + Q) // (2 * Q) % (1 << width) for x in poly]


def decompress(poly, width):
    return [(2 * Q * x + (1 << width)) >> (width + 1) for x in poly]


def matrix(rho):
    return [[sample_ntt(rho + bytes([j, i])) for j in range(K)] for i in range(K)]


def kem_keys(d):
    expanded = hashlib.sha3_512(d + bytes([K])).digest()
    rho, sigma = expanded[:32], expanded[32:]
    s = [ntt(small(sigma, i)) for i in range(K)]
    e = [ntt(small(sigma, K + i)) for i in range(K)]
    t = [plus(inner(row, s), e[i]) for i, row in enumerate(matrix(rho))]
    return b"".join(pack(f, 12) for f in t) + rho, s


def kem_encrypt(public, message, coins):
    t, rho = [unpack(public[384 * i : 384 * (i + 1)], 12) for i in range(K)], public[-32:]
    a = matrix(rho)
    y = [ntt(small(coins, i)) for i in range(K)]
    u = []
    for j in range(K):
        column = [a[i][j] for i in range(K)]
        u.append(plus(inverse_ntt(inner(column, y)), small(coins, K + j)))
    v = plus(inverse_ntt(inner(t, y)), small(coins, 2 * K))
    v = plus(v, decompress(unpack(message, 1), 1))
    return b"".join(pack(compress(f, 10), 10) for f in u) + pack(compress(v, 4), 4)


def kem_open(d, ciphertext):
    """Public key and shared secret; fails where FIPS 203 would reject without a word."""
    public, s = kem_keys(d)
    u = [decompress(unpack(ciphertext[320 * i : 320 * (i + 1)], 10), 10) for i in range(K)]
    v = decompress(unpack(ciphertext[960:], 4), 4)
    noisy = inverse_ntt(inner(s, [ntt(f) for f in u]))
    message = pack(compress([(a - b) % Q for a, b in zip(v, noisy)], 1), 1)
    both = hashlib.sha3_512(message + hashlib.sha3_256(public).digest()).digest()
    assert kem_encrypt(public, message, both[32:]) == ciphertext, "ML-KEM ciphertext"
    return public, both[:32]


def x25519(scalar, point):
    """RFC 7748, section 5."""
    p = (1 << 255) - 19
    k = bytearray(scalar)
    k[0], k[31] = k[0] & 248, (k[31] & 127) | 64
    k, u = int.from_bytes(k, "little"), int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % p, b * b % p, d * a % p, c * b % p
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % p, u * (da - cb) ** 2 % p
        x2, z2 = aa * bb % p, e * (aa + 121665 * e) % p
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


BASE_POINT = bytes([9]) + bytes(31)


def xwing_public(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    return kem_keys(expanded[:32])[0] + x25519(expanded[64:], BASE_POINT)


def xwing_open(seed, ciphertext):
    """Public key and shared secret, draft-connolly-cfrg-xwing-kem."""
    expanded = hashlib.shake_256(seed).digest(96)
    lattice, shared = kem_open(expanded[:32], ciphertext[:1088])
    scalar, point = expanded[64:], ciphertext[1088:]
    classical = x25519(scalar, BASE_POINT)
    parts = shared + x25519(scalar, point) + point + classical + b"\\.//^\\"
    return lattice + classical, hashlib.sha3_256(parts).digest()


def field_product(a, b):
    """In GF(256) with the polynomial x^8 + x^4 + x^3 + x + 1."""
    result = 0
    while b:
        result ^= a if b & 1 else 0
        a = (a << 1) ^ (0x11B if a & 128 else 0)
        b >>= 1
    return result


def field_inverse(a):
    return next(b for b in range(1, 256) if field_product(a, b) == 1)
