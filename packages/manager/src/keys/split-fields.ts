/** Bytes of the length in front of a field. */
const LENGTH_BYTES = 4;

/** The fields of what `encodeFields` wrote; undefined when it is cut or has more than `countMax`. */
export function splitFields(
  bytes: Uint8Array,
  countMax: number,
): readonly Uint8Array[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const fields: Uint8Array[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (fields.length >= countMax || offset + LENGTH_BYTES > bytes.length) return undefined;
    const start = offset + LENGTH_BYTES;
    offset = start + view.getUint32(offset);
    if (offset > bytes.length) return undefined;
    fields.push(bytes.slice(start, offset));
  }
  return fields;
}
