"""Writes transcript.txt: one attempt of MSA1 with three sites and sixteen words, from the specification alone.

Python's standard library only (hashlib, hmac); X25519, ChaCha20, Poly1305, GF(2^8) and the protocol are written
out here from RFC 7748, RFC 8439, RFC 5869 and SPEC.md, independently of the Rust code.
Run: python3 transcript.py > transcript.txt
"""
import hashlib
import hmac
import struct

P = 2**255 - 19


def x25519(scalar, point):
    k = int.from_bytes(scalar, "little")
    k = (k & ~7 & (2**255 - 1)) | 2**254
    x1 = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a % P, c * b % P, a * a % P, b * b % P
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        e = aa - bb
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def chacha_block(key, counter, nonce):
    start = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce))
    s = start[:]

    def quarter(a, b, c, d):
        for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            v = s[z] ^ s[x]
            s[z] = (v << r | v >> (32 - r)) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((x + y) & 0xFFFFFFFF for x, y in zip(s, start)))


def stream(key, label, length, counter=0):
    nonce = (bytes([label]) if isinstance(label, int) else label).ljust(12, b"\0")
    blocks = (chacha_block(key, counter + i, nonce) for i in range(-(-length // 64)))
    return b"".join(blocks)[:length]


def seal(key, associated, plain):
    cipher = bytes(x ^ y for x, y in zip(plain, stream(key, 0, len(plain), 1)))
    one_time = stream(key, 0, 32)
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    pad = lambda data: data + bytes(-len(data) % 16)
    text = pad(associated) + pad(cipher) + struct.pack("<QQ", len(associated), len(cipher))
    total = 0
    for i in range(0, len(text), 16):
        total = (total + int.from_bytes(text[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    tag = (total + int.from_bytes(one_time[16:], "little")) % 2**128
    return cipher + tag.to_bytes(16, "little")


def hkdf(ikm, salt, info):
    prk = hmac.new(salt, ikm, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\1", hashlib.sha256).digest()


def digest(label, *parts):
    pieces = (label.encode(),) + parts
    return hashlib.sha256(b"".join(struct.pack("<Q", len(p)) + p for p in pieces)).digest()


def gf_mul(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def merkle_root(leaves):
    level = leaves
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [digest("fovea/tree/node/v1", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return digest("fovea/tree/root/v1", struct.pack("<Q", len(leaves)), level[0])


u16 = lambda value: struct.pack("<H", value)
N, T, WORDS, SIDE = 3, 3, 16, 2
SITES = range(N)
MODEL = bytes([2]) * 32
CTX = digest("fovea/round/v1", bytes([1]) * 32, struct.pack("<I", 1), u16(0), MODEL, bytes([3]) * 32, b"".join(map(u16, SITES)))


class Site:
    def __init__(self, me):
        self.me, self.drawn = me, 0
        self.share_key, self.mask_key = self.draw(), self.draw()
        self.share_public, self.mask_public = (x25519(k, bytes([9]) + bytes(31)) for k in (self.share_key, self.mask_key))

    def draw(self):
        self.drawn += 1
        return hashlib.sha256(b"golden" + u16(self.me) + struct.pack("<Q", self.drawn)).digest()

    def split(self, secret):
        coefficients = [secret] + [self.draw() for _ in range(T - 1)]
        shares = []
        for x in range(1, N + 1):
            share = bytes(32)
            for coefficient in reversed(coefficients):
                share = bytes(gf_mul(a, x) ^ b for a, b in zip(share, coefficient))
            shares.append(share)
        return shares

    def deal(self, sites, r1):
        self.self_mask, self.group = self.draw(), self.draw()
        betas, sigmas = self.split(self.self_mask), self.split(self.mask_key)
        b = digest("fovea/secagg/b/v1", r1, u16(self.me), self.self_mask)
        g = digest("fovea/secagg/g/v1", r1, u16(self.me), self.group)
        leaves = [digest("fovea/secagg/head/v1", r1, u16(self.me), b, g)]
        for to in sites:
            salts, pair = self.draw(), (u16(self.me), u16(to.me))
            half_b = digest("fovea/secagg/share-b/v1", r1, *pair, betas[to.me], salts[:16])
            half_s = digest("fovea/secagg/share-s/v1", r1, *pair, sigmas[to.me], salts[16:])
            h = digest("fovea/secagg/sh/v1", half_b, half_s)
            sealed = b""
            if to is not self:
                shared = x25519(self.share_key, to.share_public)
                key = hkdf(shared, r1, b"fovea/secagg/v1/share" + pair[0] + pair[1])
                sealed = seal(key, r1 + pair[0] + pair[1], betas[to.me] + sigmas[to.me] + self.group + salts)
            leaves.append(digest("fovea/secagg/leaf/v1", r1, *pair, sealed, h))
        return merkle_root(leaves)

    def upload(self, sites, r2):
        mixed = [(j * 0x9E3779B9 + (self.me << 7)) % 2**32 for j in range(WORDS)]
        signed = lambda w: w - 2**32 if w >= 2**31 else w
        values = [signed(w) >> 8 for w in mixed[:-2]] + [w >> 8 for w in mixed[-2:]]
        words = [v % 2**32 for v in values]
        side = [(j * 0x123456789ABC + self.me) % 2**64 for j in range(SIDE)]
        side += self.tags(values, digest("fovea/secagg/group/v1", r2, *(s.group for s in sites)))
        masks = [(self.self_mask, 1)]
        for peer in sites:
            if peer is not self:
                low, high = sorted((self.me, peer.me))
                info = b"fovea/secagg/v1/mask" + u16(low) + u16(high) + CTX
                seed = hkdf(x25519(self.mask_key, peer.mask_public), r2, info)
                masks.append((seed, 1 if self.me < peer.me else -1))
        for seed, sign in masks:
            for j, mask in enumerate(struct.unpack(f"<{WORDS}I", stream(seed, 0, 4 * WORDS))):
                words[j] = (words[j] + sign * mask) % 2**32
            for j, mask in enumerate(struct.unpack(f"<{SIDE + 2}Q", stream(seed, 1, 8 * (SIDE + 2)))):
                side[j] = (side[j] + sign * mask) % 2**64
        return struct.pack(f"<{WORDS}I", *words), struct.pack(f"<{SIDE + 2}Q", *side)

    def tags(self, values, key):
        pads = struct.unpack("<2Q", stream(key, bytes([4, 0]) + u16(self.me), 16))
        rhos = [struct.unpack(f"<{WORDS}Q", stream(key, bytes([3, k]), 8 * WORDS)) for k in (0, 1)]
        self.clear_tags = [(sum(map(int.__mul__, rho, values)) + pad) % 2**64 for rho, pad in zip(rhos, pads)]
        return self.clear_tags


def main():
    sites = [Site(me) for me in SITES]
    listed = b"".join(u16(s.me) + s.share_public + s.mask_public for s in sites)
    r1 = digest("fovea/secagg/r1/v1", CTX + listed)
    roots = [site.deal(sites, r1) for site in sites]
    r2 = digest("fovea/secagg/r2/v1", r1, b"".join(u16(s.me) + root for s, root in zip(sites, roots)))
    r3 = digest("fovea/secagg/confirm/v1", r2, b"".join(map(u16, SITES)))
    print("ctx", CTX.hex())
    print("r1", r1.hex())
    for site, root in zip(sites, roots):
        print(f"root {site.me}", root.hex())
    print("r2", r2.hex())
    for site in sites:
        words, side = site.upload(sites, r2)
        print(f"words {site.me}", words.hex())
        print(f"side {site.me}", side.hex())
    tags = [sum(site.clear_tags[k] for site in sites) % 2**64 for k in (0, 1)]
    print("tags", struct.pack("<2Q", *tags).hex())
    print("r3", r3.hex())


main()
