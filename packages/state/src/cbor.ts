import { decode, encode } from 'cborg';

/** Only what we write ourselves: definite lengths, shortest numbers, no key twice. */
const DECODING = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
} as const;

/** Canonical CBOR; fields that are undefined are left out. */
export function encodeCbor(value: unknown): Uint8Array {
  return encode(value, { ignoreUndefinedProperties: true });
}

/** The value; throws whatever the decoder throws on bytes that are not canonical CBOR. */
export function decodeCbor(bytes: Uint8Array): unknown {
  return decode(bytes, DECODING) as unknown;
}
