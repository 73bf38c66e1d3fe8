import { open, readFile } from 'node:fs/promises';

const PIECE_BYTES = 1 << 20;
/** The smallest page there is; larger ones are skipped in several steps. */
const PAGE_BYTES = 4_096;

/** Some memory of a process. The bytes are those of the next piece as soon as that is asked for. */
export interface MemoryPiece {
  readonly address: number;
  readonly bytes: Buffer;
}

/** Fills `into` from an address; answers how many bytes there were, or fails when there are none. */
export type MemoryReader = (into: Buffer, address: number) => Promise<number>;

/**
 * The readable memory between two addresses, in pieces of about 1 MiB. Neighbours share `overlap`
 * bytes, so that whatever is at most one byte longer stands in one of them as a whole.
 */
export async function* piecesOf(
  read: MemoryReader,
  { from, to, overlap }: { readonly from: number; readonly to: number; readonly overlap: number },
): AsyncGenerator<MemoryPiece> {
  const piece = Buffer.alloc(Math.min(PIECE_BYTES + overlap, to - from));
  for (let at = from; at < to;) {
    const wanted = piece.subarray(0, Math.min(piece.length, to - at));
    // Given back by the process meanwhile, or beyond the end of a mapped file.
    const count = await read(wanted, at).catch(() => 0);
    if (count > 0) yield { address: at, bytes: wanted.subarray(0, count) };
    const reached = at + count;
    if (reached === to) return;
    at = count > overlap ? reached - overlap : pageAfter(reached);
  }
}

const pageAfter = (address: number): number => (Math.floor(address / PAGE_BYTES) + 1) * PAGE_BYTES;

/**
 * All memory of a process that it may read, or only what it may write as well. Needs the right to
 * trace it; fails when this user has not, or when there is no such process.
 */
export async function* memoryPieces(
  pid: number,
  { overlap, isWritable }: { readonly overlap: number; readonly isWritable: boolean },
): AsyncGenerator<MemoryPiece> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8');
  const memory = await open(`/proc/${pid}/mem`, 'r');
  const read: MemoryReader = async (into, address) =>
    (await memory.read(into, 0, into.length, address)).bytesRead;
  try {
    for (const line of maps.split('\n')) {
      const range = /^([0-9a-f]+)-([0-9a-f]+) r([w-])/.exec(line);
      if (range === null || (isWritable && range[3] !== 'w')) continue;
      // What the kernel lends is nobody's memory.
      if (line.includes('[vvar') || line.includes('[vsyscall]')) continue;
      const [from, to] = [Number(`0x${range[1]}`), Number(`0x${range[2]}`)];
      yield* piecesOf(read, { from, to, overlap });
    }
  } finally {
    await memory.close();
  }
}
