import type { ConclaveClient } from '@conclave/client';
import type { SecretBytes } from '@conclave/sealed';
import type { Call } from '../command-spec.js';
import { usageError } from '../flags.js';
import { HiddenInput } from '../prompt.js';
import { readSecret, readSecretFile } from '../stdin.js';

const LINE_FEED = 0x0a;

async function readTyped(call: Call, bytesMax: number): Promise<SecretBytes> {
  const [value, again] = await HiddenInput.lend(call.io, bytesMax, async (input) => {
    const first = await input.line('value (not shown): ');
    return [first, await input.line('once more: ')] as const;
  });
  const isSame = value.equals(again);
  again.wipe();
  if (isSame) return value;
  value.wipe();
  throw usageError('the two values differ; nothing was done', 'Type the same value twice.');
}

/** `echo` adds a line feed that few programs want in a password. */
async function noteLineFeed(call: Call, value: SecretBytes): Promise<void> {
  if (!call.io.stderr.isTerminal || value.use((view) => view.at(-1)) !== LINE_FEED) return;
  await call.io.stderr.write('note: the value ends with a line feed; printf %s leaves it out\n');
}

async function readFrom(call: Call, bytesMax: number): Promise<SecretBytes> {
  const path = call.flags.text('fromFile');
  if (path !== undefined && path !== '-') return await readSecretFile(path, bytesMax);
  if (path === undefined && call.io.stdin.isTerminal) return await readTyped(call, bytesMax);
  return await readSecret(call.io.stdin.chunks(), bytesMax);
}

/**
 * The value for `secret set`: from `--from-file`, typed twice without echo on a terminal, or all of
 * standard input byte for byte. The cluster's limit is kept while reading. The caller wipes it.
 * @throws CV_ARGUMENT_INVALID when it is empty
 * @throws CV_SECRET_TOO_LARGE
 */
export async function readValue(call: Call, client: ConclaveClient): Promise<SecretBytes> {
  const { secretValueBytesMax } = await client.cluster.info({ signal: call.tools.signal });
  const value = await readFrom(call, secretValueBytesMax);
  if (value.size === 0) {
    throw usageError(
      'the value is empty',
      'Pipe it: printf %s "$VALUE" | conclave secret set NAME',
    );
  }
  await noteLineFeed(call, value);
  return value;
}

/** How the bytes of a generated secret are written. */
export type Encoding = 'hex' | 'base64url' | 'raw';

const HEX_DIGITS = new TextEncoder().encode('0123456789abcdef');
const BASE64URL_LETTERS = new TextEncoder().encode(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
);

/** Digits of `bits` bits each, the last one filled up with zeros; never through a string. */
function digitsOf(bytes: Uint8Array, bits: number, letters: Uint8Array): Uint8Array {
  const digits = new Uint8Array(new ArrayBuffer(Math.ceil((bytes.length * 8) / bits)));
  let buffer = 0;
  let bitCount = 0;
  let offset = 0;
  const put = (): void => {
    digits[offset] = letters[(buffer >>> bitCount) & ((1 << bits) - 1)] ?? 0;
    offset += 1;
  };
  for (const byte of bytes) {
    buffer = ((buffer << 8) | byte) & 0xffff;
    bitCount += 8;
    while (bitCount >= bits) {
      bitCount -= bits;
      put();
    }
  }
  if (bitCount > 0) {
    buffer <<= bits - bitCount;
    bitCount = 0;
    put();
  }
  return digits;
}

/** `byteCount` random bytes in `encoding`; the caller wipes them. */
export async function generateValue(
  call: Call,
  byteCount: number,
  encoding: Encoding,
): Promise<SecretBytes> {
  const { SecretBytes } = await import('@conclave/sealed');
  const raw = SecretBytes.random(call.tools.random, byteCount);
  if (encoding === 'raw') return raw;
  try {
    return raw.use((view) =>
      SecretBytes.take(
        encoding === 'hex' ? digitsOf(view, 4, HEX_DIGITS) : digitsOf(view, 6, BASE64URL_LETTERS),
      ),
    );
  } finally {
    raw.wipe();
  }
}
