import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { countInMemory, LeakScanner } from '../src/index.js';
import type { MemoryReader } from '../src/process-memory.js';
import { piecesOf } from '../src/process-memory.js';

const PAGE = 4_096;
const MIB = 1 << 20;

/** Memory at `base` in which some pages cannot be read; a read ends before the first of them. */
function memoryOf(content: Buffer, base: number, lost: readonly number[]): MemoryReader {
  return async (into, address) => {
    const holes = lost.map((page) => page * PAGE).filter((at) => at + PAGE > address - base);
    const end = Math.min(address - base + into.length, content.length, ...holes);
    if (end <= address - base) throw new Error('EIO');
    return content.copy(into, 0, address - base, end);
  };
}

describe('pieces of a range', () => {
  const base = 7 * PAGE;
  const content = randomBytes(3 * MIB + 5 * PAGE);

  /** What of the range occurs in some piece, byte by byte; and how often pieces begin. */
  async function covered(lost: readonly number[], overlap: number) {
    const seen = Buffer.alloc(content.length);
    const starts: number[] = [];
    const range = { from: base, to: base + content.length, overlap };
    for await (const { address, bytes } of piecesOf(memoryOf(content, base, lost), range)) {
      const at = address - base;
      expect(bytes.equals(content.subarray(at, at + bytes.length))).toBe(true);
      seen.fill(1, at, at + bytes.length);
      starts.push(at);
    }
    return { seen, starts };
  }

  test('cover all of it and share the overlap', async () => {
    const { seen, starts } = await covered([], 63);
    expect(seen.indexOf(0)).toBe(-1);
    expect(starts).toEqual([0, MIB, 2 * MIB, 3 * MIB]);
  });

  test.each([
    ['the first page', [0]],
    ['one in the middle', [300]],
    ['two neighbours', [255, 256]],
    ['the last page', [content.length / PAGE - 1]],
    ['several', [1, 3, 5, 400, 700]],
  ])('leave out no more than what cannot be read: %s', async (_name, lost) => {
    const { seen } = await covered(lost, 63);
    const expected = Buffer.alloc(content.length, 1);
    for (const page of lost) expected.fill(0, page * PAGE, (page + 1) * PAGE);
    expect(seen.equals(expected)).toBe(true);
  });
});

describe('the memory of another process', () => {
  const BYTES = 5 * MIB;
  const marker = randomBytes(61);
  let child: ChildProcess;

  beforeAll(async () => {
    // It is given the opposite of the marker, so that the only copies are those in the block: one
    // after the other, so that every border between two pieces cuts one of them.
    const script = `
      const opposite = Buffer.from(process.argv[1], 'hex');
      const block = Buffer.alloc(${BYTES});
      for (let at = 0; at < block.length; at += 1) block[at] = ~opposite[at % ${marker.length}];
      process.stdin.resume().once('close', () => process.exit(block[0]));
      process.stdout.write('ready');
    `;
    const opposite = Buffer.from(marker.map((byte) => ~byte)).toString('hex');
    child = spawn(process.execPath, ['-e', script, opposite], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {},
    });
    await once(child.stdout as NodeJS.EventEmitter, 'data');
  });
  afterAll(async () => {
    const end = once(child, 'exit');
    child.stdin?.end();
    await end;
  });

  test('each copy is counted once, also across the borders of pieces', async () => {
    expect(await countInMemory(child.pid ?? 0, marker)).toBe(Math.floor(BYTES / marker.length));
  });

  test('the leak scanner finds a piece of it in each mebibyte', async () => {
    const scanner = new LeakScanner([{ name: 'planted', bytes: marker }]);
    await scanner.memory(child.pid ?? 0);
    const { leaks } = scanner.report();
    expect(leaks.length).toBeGreaterThanOrEqual(BYTES / MIB);
    expect(new Set(leaks.map(({ marker: name, form }) => `${name} ${form}`))).toEqual(
      new Set(['planted raw']),
    );
  });

  test('of none there is no count', async () => {
    expect(await countInMemory(2 ** 22 + 1, marker)).toBeUndefined();
  });
});
