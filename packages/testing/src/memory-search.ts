import { memoryPieces } from './process-memory.js';

/**
 * Counts a marker in the readable memory of a process. Undefined when nothing of it can be read: it
 * has ended, or this user may not. Nothing of the memory is kept.
 */
export async function countInMemory(pid: number, marker: Uint8Array): Promise<number | undefined> {
  let count: number | undefined;
  try {
    const around = { overlap: marker.length - 1, isWritable: false };
    for await (const { bytes } of memoryPieces(pid, around)) {
      count ??= 0;
      for (let hit = bytes.indexOf(marker); hit >= 0; hit = bytes.indexOf(marker, hit + 1)) {
        count += 1;
      }
    }
  } catch {
    return undefined;
  }
  return count;
}
