import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { entry, Fixture } from './fixture.js';

/** Files that hold no state: the database's own notes, and its lock. */
const NOTES = new Set(['LOG', 'LOG.old', 'LOCK']);

describe('a damaged log', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.create();
    const store = await fixture.open();
    await store.log.load();
    for (let index = 1; index <= 6; index += 1) {
      const hardState = { term: 1, vote: 1, commit: index };
      await store.log.write({ entries: [entry(index)], hardState }, { sync: true });
    }
    await store.close();
  });
  afterEach(() => fixture.remove());

  const load = async (): Promise<string> => {
    try {
      const store = await fixture.open({ name: 'copy' });
      try {
        const { entries, hardState } = await store.log.load();
        return `${entries.map((one) => Buffer.from(one.data).toString()).join()} ${hardState?.commit}`;
      } finally {
        await store.close();
      }
    } catch (error) {
      const failure = error as {
        code: string;
        cause?: { message: string; cause?: { message: string } };
      };
      return failure.code === 'CV_LOG_DAMAGED'
        ? failure.code
        : `${failure.code} ${failure.cause?.message} ${failure.cause?.cause?.message}`;
    }
  };

  test('whatever byte changes, the log is read as it was written or not at all', async () => {
    await fixture.copy('raft', 'copy');
    const whole = await load();
    expect(whole).toMatch(/^entry 1,.*entry 6 6$/);
    const outcomes = new Map<string, number>();
    for (const folder of ['', 'log']) {
      for (const name of await readdir(join(fixture.path(), folder), { withFileTypes: true })) {
        if (!name.isFile() || NOTES.has(name.name)) continue;
        const content = await readFile(join(fixture.path(), folder, name.name));
        const step = Math.max(1, Math.floor(content.length / 60));
        for (let offset = 0; offset < content.length; offset += step) {
          await fixture.copy('raft', 'copy');
          const changed = Buffer.from(content);
          changed[offset] = (changed[offset] ?? 0) ^ 0x40;
          await writeFile(join(fixture.path('copy'), folder, name.name), changed);
          const outcome = await load();
          const kind = outcome === whole ? 'whole' : outcome;
          outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
        }
      }
    }
    expect([...outcomes.keys()].filter((kind) => !/^(whole|CV_LOG_DAMAGED)$/.test(kind))).toEqual(
      [],
    );
    expect(outcomes.get('CV_LOG_DAMAGED')).toBeGreaterThan(100);
  }, 120_000);

  test('a torn batch that was never acknowledged is cut', async () => {
    await fixture.copy('raft', 'before');
    const store = await fixture.open();
    await store.log.load();
    await store.log.write({ entries: [entry(7, 1, 'torn'.repeat(50))] }, { sync: true });
    await store.close();
    // The crash came inside the write: the batch is half on disk, the witness is the old one.
    const folder = join(fixture.path(), 'log');
    const [log] = (await readdir(folder))
      .filter((name) => name.endsWith('.log'))
      .sort()
      .reverse();
    const content = await readFile(join(folder, log ?? ''));
    await fixture.copy('raft', 'copy');
    await writeFile(join(fixture.path('copy'), 'log', log ?? ''), content.subarray(0, -40));
    const witness = await readFile(join(fixture.path('before'), 'witness'));
    await writeFile(join(fixture.path('copy'), 'witness'), witness);
    expect(await load()).toMatch(/entry 6 6$/);
    // The same cut after the acknowledgement is damage.
    await writeFile(
      join(fixture.path('copy'), 'witness'),
      await readFile(join(fixture.path(), 'witness')),
    );
    await writeFile(join(fixture.path('copy'), 'log', log ?? ''), content.subarray(0, -40));
    expect(await load()).toBe('CV_LOG_DAMAGED');
  });

  test('records of another member or under another key are refused', async () => {
    for (const other of [{ nodeId: 'other' }, { fill: 8 }]) {
      await expect(fixture.open(other)).rejects.toMatchObject({ code: 'CV_LOG_DAMAGED' });
    }
  });
});
