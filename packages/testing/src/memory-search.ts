import { open, readFile } from 'node:fs/promises';

const PIECE_BYTES = 1 << 20;

/**
 * Counts a marker in the readable memory of a process. Undefined when this user may not read it.
 * The marker is searched byte by byte in bounded pieces; nothing of the memory is kept.
 */
export async function countInMemory(pid: number, marker: Uint8Array): Promise<number | undefined> {
  let maps: string;
  let memory;
  try {
    maps = await readFile(`/proc/${pid}/maps`, 'utf8');
    memory = await open(`/proc/${pid}/mem`, 'r');
  } catch {
    return undefined;
  }
  let count = 0;
  try {
    for (const line of maps.split('\n')) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) r/.exec(line);
      if (match === null || line.includes('[vvar') || line.includes('[vsyscall]')) continue;
      count += await countInRange(memory, marker, {
        from: Number(`0x${match[1]}`),
        to: Number(`0x${match[2]}`),
      });
    }
  } finally {
    await memory.close();
  }
  return count;
}

async function countInRange(
  memory: Awaited<ReturnType<typeof open>>,
  marker: Uint8Array,
  range: { readonly from: number; readonly to: number },
): Promise<number> {
  const overlap = marker.length - 1;
  const piece = Buffer.alloc(PIECE_BYTES);
  let count = 0;
  for (let at = range.from; at < range.to; at += PIECE_BYTES - overlap) {
    const size = Math.min(PIECE_BYTES, range.to - at);
    let read: number;
    try {
      ({ bytesRead: read } = await memory.read(piece, 0, size, at));
    } catch {
      break;
    }
    const found = piece.subarray(0, read);
    for (let hit = found.indexOf(marker); hit >= 0; hit = found.indexOf(marker, hit + 1))
      count += 1;
    if (size < PIECE_BYTES) break;
  }
  return count;
}
