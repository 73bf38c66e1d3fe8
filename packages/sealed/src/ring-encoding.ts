import { KEY_BYTES } from './aead.js';
import { forged } from './envelope.js';
import { readUint32, writeUint32 } from './fields.js';
import { SecretBytes } from './secret-bytes.js';

/** Versions of the cluster root key in one ring; a rotation retires the old ones. */
export const RING_VERSION_COUNT_MAX = 64;

/** Layout: `"CVKR" | format u8 | generation u32 | count u8 | count * (key id u32 | key(32))`. */
const MAGIC = 0x43564b52;
const FORMAT = 1;
const GENERATION_OFFSET = 5;
const COUNT_OFFSET = 9;
const HEAD_BYTES = 10;
const KEY_ID_BYTES = 4;
const ROW_BYTES = KEY_ID_BYTES + KEY_BYTES;

/** The content of a ring. */
export interface RingContent {
  readonly generation: number;
  readonly versions: Map<number, SecretBytes>;
}

/** The ring as bytes, versions in ascending order: one ring has one encoding. */
export function encodeRing({ generation, versions }: RingContent): SecretBytes {
  const encoded = SecretBytes.allocate(HEAD_BYTES + versions.size * ROW_BYTES);
  const rows = [...versions].toSorted(([left], [right]) => left - right);
  encoded.use((view) => {
    writeUint32(view, 0, MAGIC);
    view[4] = FORMAT;
    writeUint32(view, GENERATION_OFFSET, generation);
    view[COUNT_OFFSET] = versions.size;
    let offset = HEAD_BYTES;
    for (const [keyId, version] of rows) {
      writeUint32(view, offset, keyId);
      version.use((key) => view.set(key, offset + KEY_ID_BYTES));
      offset += ROW_BYTES;
    }
  });
  return encoded;
}

/**
 * Reads what {@link encodeRing} wrote.
 * @throws CV_ENVELOPE_FORGED when the bytes are anything else
 */
export function decodeRing(encoded: SecretBytes): RingContent {
  return encoded.use((view) => {
    const count = view[COUNT_OFFSET] ?? 0;
    const isRing =
      view.length === HEAD_BYTES + count * ROW_BYTES &&
      readUint32(view, 0) === MAGIC &&
      view[4] === FORMAT &&
      count >= 1 &&
      count <= RING_VERSION_COUNT_MAX;
    if (!isRing) throw forged('malformed');
    const versions = new Map<number, SecretBytes>();
    let previous = 0;
    for (let offset = HEAD_BYTES; offset < view.length; offset += ROW_BYTES) {
      const keyId = readUint32(view, offset);
      if (keyId <= previous) throw forged('malformed');
      previous = keyId;
      versions.set(keyId, copyKey(view, offset + KEY_ID_BYTES));
    }
    return { generation: readUint32(view, GENERATION_OFFSET), versions };
  });
}

function copyKey(view: Uint8Array, offset: number): SecretBytes {
  const key = SecretBytes.allocate(KEY_BYTES);
  key.use((target) => target.set(view.subarray(offset, offset + KEY_BYTES)));
  return key;
}
