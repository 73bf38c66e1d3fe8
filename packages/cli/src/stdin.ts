import { ConclaveError } from '@conclave/kernel';
import type { SecretBytes } from '@conclave/sealed';

function tooLarge(bytesMax: number): ConclaveError {
  return new ConclaveError('CV_SECRET_TOO_LARGE', `the value has more than ${bytesMax} bytes`);
}

/**
 * Everything that `chunks` gives, byte for byte, in memory that can be wiped. The chunks are wiped
 * as soon as they are copied. Stops reading as soon as there is more than `bytesMax`.
 * @throws CV_SECRET_TOO_LARGE
 */
export async function readSecret(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax: number,
): Promise<SecretBytes> {
  const { SecretBytes } = await import('@conclave/sealed');
  const parts: SecretBytes[] = [];
  let size = 0;
  try {
    for await (const chunk of chunks) {
      parts.push(SecretBytes.take(chunk));
      size += chunk.length;
      if (size > bytesMax) throw tooLarge(bytesMax);
    }
    const whole = SecretBytes.allocate(size);
    let offset = 0;
    for (const part of parts) {
      whole.use((target) => part.use((view) => target.set(view, offset)));
      offset += part.size;
    }
    return whole;
  } finally {
    for (const part of parts) part.wipe();
  }
}

/** Bytes of one read from a file. */
const FILE_CHUNK_BYTES = 64 * 1024;

/** The chunks of a file; its own buffer is used again and wiped at the end. */
async function* fileChunks(path: string): AsyncGenerator<Uint8Array, void, void> {
  const { open } = await import('node:fs/promises');
  const file = await open(path, 'r');
  const buffer = new Uint8Array(new ArrayBuffer(FILE_CHUNK_BYTES));
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    buffer.fill(0);
    await file.close();
  }
}

/**
 * The content of a file, byte for byte.
 * @throws CV_ARGUMENT_INVALID when it cannot be read
 * @throws CV_SECRET_TOO_LARGE above `bytesMax`
 */
export async function readSecretFile(path: string, bytesMax: number): Promise<SecretBytes> {
  try {
    return await readSecret(fileChunks(path), bytesMax);
  } catch (cause) {
    const code = (cause as { code?: unknown }).code;
    if (typeof code !== 'string' || code.startsWith('CV_')) throw cause;
    throw new ConclaveError('CV_ARGUMENT_INVALID', `the file cannot be read (${code})`, {
      hint: 'Check the path and its permissions.',
      cause,
    });
  }
}
