import { createPrivateKey, sign } from 'node:crypto';

/** Where the element of a DER text that begins at `start` ends. */
function endOf(der: Uint8Array, start: number): number {
  const first = der[start + 1] ?? 0;
  if (first < 0x80) return start + 2 + first;
  let length = 0;
  for (let count = 0; count < (first & 0x7f); count += 1) {
    length = length * 256 + (der[start + 2 + count] ?? 0);
  }
  return start + 2 + (first & 0x7f) + length;
}

function element(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

/**
 * The same certificate with its signed part changed by `edit` and signed by another key, or by the
 * root's own: what no issuer of ours would make.
 */
export function resigned(
  der: Uint8Array,
  keyPkcs8: Uint8Array,
  edit: (signedPart: Buffer) => Buffer = (signedPart) => signedPart,
): Uint8Array {
  const outer = der[1] === 0x82 ? 4 : 3;
  const algorithmAt = endOf(der, outer);
  const signedPart = edit(Buffer.from(der.subarray(outer, algorithmAt)));
  const algorithm = der.subarray(algorithmAt, endOf(der, algorithmAt));
  const key = createPrivateKey({ key: Buffer.from(keyPkcs8), format: 'der', type: 'pkcs8' });
  const signature = sign('sha384', signedPart, key);
  const bits = element(0x03, Buffer.concat([Buffer.of(0), signature]));
  return new Uint8Array(element(0x30, Buffer.concat([signedPart, algorithm, bits])));
}

/** Purposes of a certificate, RFC 5280 section 4.2.1.12: the last byte of their identifier. */
export const PURPOSE_BYTE = { server: 1, client: 2, code: 3 } as const;

const PURPOSE_PREFIX = Buffer.from([0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03]);

/** Says that the key is for something else than for clients. */
export function withPurpose(purpose: number): (signedPart: Buffer) => Buffer {
  const wanted = Buffer.concat([PURPOSE_PREFIX, Buffer.of(PURPOSE_BYTE.client)]);
  return (signedPart) => {
    const at = signedPart.indexOf(wanted);
    if (at < 0) throw new Error('the certificate is not for clients anyway');
    const changed = Buffer.from(signedPart);
    changed[at + wanted.length - 1] = purpose;
    return changed;
  };
}
