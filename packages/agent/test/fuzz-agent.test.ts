import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkTarget, isConclaveError, isId, limits } from '@conclave/kernel';
import { openSealed } from '@conclave/sealed';
import type { FrameOpener } from '@conclave/sealed';
import { DAMAGE_KINDS, damaged, decodeHostile, FUZZ_RUNS } from '@conclave/testing';
import { loadWire } from '@conclave/wire';
import type { AssignmentChunk, TaskAssignment } from '@conclave/wire';
import { AssignmentAssembler } from '../src/assignment/assembler.js';
import { checkTask } from '../src/assignment/check-task.js';
import { FileRecords } from '../src/index.js';
import type { TaskRecord } from '../src/index.js';
import { taskMessage } from './fake-manager.js';

const ID = 'aaaaaaaaaaaaaaaaaaaaaaaaaa';
/** Each run writes a file, or codes a message of some size. */
const RUNS = Math.min(FUZZ_RUNS, 20_000);

const damages = fc.array(
  fc.record({
    kind: fc.constantFrom(...DAMAGE_KINDS),
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
);
const isRefusal = (error: unknown): boolean =>
  isConclaveError(error) &&
  ['CV_PROTOCOL', 'CV_ARGUMENT_INVALID', 'CV_LIMIT_EXCEEDED', 'CV_ENVELOPE_FORGED'].includes(
    error.code,
  );

const file = {
  target: 'db',
  secretId: ID,
  version: 3,
  uid: 1000,
  gid: 1000,
  mode: 0o400,
  onChange: { kind: 'signal', signal: 'HUP' },
} as const;
const RECORD: TaskRecord = {
  taskId: ID,
  state: 'RUNNING',
  message: 'm',
  error: 'e',
  exitCode: 1,
  atMs: 5,
  assignment: {
    kind: 'run',
    plan: {
      taskId: ID,
      serviceName: 'web',
      slot: 1,
      runtime: 'process',
      command: ['run', 'it'],
      env: { A: 'b' },
      workingDirectory: '/',
      user: '1000:1000',
      stopSignal: 'TERM',
    },
    stopGraceMs: 10,
    files: [file, { ...file, target: 'hook', onChange: { kind: 'exec', command: 'reload' } }],
    undeliverable: '',
  },
  files: [file],
  pending: ['db'],
  receipts: [{ target: 'db', secretId: ID, version: 3, outcome: 'delivered', detail: '', atMs: 6 }],
};

let folder: string;
let records: FileRecords;
let path: string;
let valid: string;

beforeAll(async () => {
  await openSealed();
  folder = mkdtempSync('/dev/shm/conclave-fuzz-');
  records = new FileRecords({ folder, bootId: 'b', clusterId: 'c', nodeId: 'n' });
  path = `${folder}/${ID}.json`;
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  records.save(RECORD);
  valid = readFileSync(path, 'utf8');
});

interface Envelope {
  readonly content: unknown;
}

const loadOf = (content: unknown): TaskRecord[] => {
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(valid) as Envelope), content }));
  return records.load();
};

type Path = readonly (string | number)[];

/** Every place in a value, itself left out. */
function placesIn(value: unknown, before: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const place = [...before, Array.isArray(value) ? Number(key) : key];
    return [place, ...placesIn(inner, place)];
  });
}

/** A copy with something else at one place; undefined: nothing. */
function changed(value: unknown, [key, ...rest]: Path, other: unknown): unknown {
  if (key === undefined) return other;
  const copy = Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) };
  Reflect.set(copy, key, changed(Reflect.get(copy, key), rest, other));
  return copy;
}

const PLACES = placesIn(RECORD);
const at = (place: Path): unknown =>
  place.reduce<unknown>((inner, key) => Reflect.get(inner as object, key), RECORD);

describe('a note of a task', () => {
  test('that is as it was written comes back', () => {
    expect(loadOf(RECORD)).toEqual([RECORD]);
  });

  test('of which any part has another type counts as absent', () => {
    const others = fc.oneof(
      fc.constantFrom(null, true, -1, 0.5, 2 ** 60, '', '../up', [], [[]], {}, { length: 1 }),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(fc.constantFrom(...PLACES), others, (place, other) => {
        const [record] = loadOf(changed(RECORD, place, other));
        const isSameType =
          typeof other === typeof at(place) && Array.isArray(other) === Array.isArray(at(place));
        if (record === undefined) return;
        expect({ place, isSameType: isSameType && other !== null }).toEqual({
          place,
          isSameType: true,
        });
      }),
      { numRuns: RUNS },
    );
  });

  test('with damaged bytes is absent, or names the task, and files that can be', () => {
    fc.assert(
      fc.property(damages, (how) => {
        writeFileSync(path, damaged(Buffer.from(valid), how));
        const [record] =
          decodeHostile(
            () => records.load(),
            () => false,
          ) ?? [];
        if (record === undefined) return;
        expect(record.taskId).toBe(ID);
        for (const { target, secretId } of [...record.files, ...(record.assignment?.files ?? [])]) {
          checkTarget(target);
          expect(isId(secretId)).toBe(true);
        }
        // What was taken is written and taken again.
        records.save(record);
        expect(records.load()).toEqual([record]);
      }),
      { numRuns: RUNS },
    );
  });

  test('a position of another shape counts as none', () => {
    const name = `${folder}/position`;
    records.savePosition({ epoch: 1, index: 2 });
    const stored = JSON.parse(readFileSync(name, 'utf8')) as Envelope;
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (epoch, index) => {
        writeFileSync(name, JSON.stringify({ ...stored, content: { epoch, index } }));
        const isWhole = [epoch, index].every(
          (one) => Number.isSafeInteger(one) && Number(one) >= 0,
        );
        expect(records.loadPosition() !== undefined).toBe(isWhole);
      }),
      { numRuns: RUNS },
    );
    rmSync(name);
  });
});

const task = taskMessage({
  id: ID,
  bindings: [
    { target: 'db', secretId: ID, version: 3, mode: 0o400, uid: 1, gid: 2 },
    { target: 'x', secretId: ID, version: 4, onChange: { kind: 'exec', signal: '', command: 'r' } },
  ],
});
const CHUNK: Partial<AssignmentChunk> = {
  kind: 'complete',
  appliesTo: 0,
  resultsIn: 1,
  chunk: 0,
  last: true,
  index: 9,
  clusterEpoch: 1,
  tasks: [task],
};
const codec = (): ReturnType<typeof loadWire>['Dispatcher']['Session'] =>
  loadWire().Dispatcher.Session;

/** What an agent reads of damaged bytes; undefined: not even a message. */
function received(how: Parameters<typeof damaged>[1]): AssignmentChunk | undefined {
  const bytes = codec().encodeResponse({ assignments: CHUNK });
  const message = decodeHostile(
    () => codec().decodeResponse(Buffer.from(damaged(bytes, how))),
    isRefusal,
  );
  return message?.assignments ?? undefined;
}

function expectFit(read: ReturnType<typeof checkTask>): void {
  if (read.kind === 'end') return;
  expect(isId(read.plan.taskId)).toBe(true);
  expect(read.files.length).toBeLessThanOrEqual(limits.BINDING_COUNT_MAX);
  for (const { target } of read.files) checkTarget(target);
  expect(new Set(read.files.map(({ target }) => target)).size).toBe(read.files.length);
}

describe('an assignment of a manager that lies', () => {
  test('whole: is refused, or its tasks can be taken', () => {
    fc.assert(
      fc.property(damages, (how) => {
        const chunk = received(how);
        if (chunk === undefined) return;
        const opener = { wipe: () => undefined } as unknown as FrameOpener;
        const position = { epoch: 1, index: 5 };
        const assembler = new AssignmentAssembler({ opener, position, isHeld: () => true });
        const whole = decodeHostile(() => assembler.add(chunk), isRefusal);
        if (whole === undefined) return;
        expect(whole.position.epoch).toBeGreaterThanOrEqual(1);
        for (const [id, one] of whole.tasks) {
          expect(isId(id)).toBe(true);
          expectFit(one);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('task by task: names files inside its own folder only', () => {
    const word = fc.constantFrom('..', '../x', '/etc/passwd', '.hidden', 'a/b', 'ok', '', 'a\0b');
    const number = fc.constantFrom(0, 1, -1, 0.5, Number.NaN, 2 ** 40, 0o777, 0o4755);
    fc.assert(
      fc.property(word, number, number, number, (target, mode, uid, version) => {
        const hostile: TaskAssignment = taskMessage({
          id: ID,
          bindings: [{ target, secretId: ID, version, mode, uid }],
        });
        const read = decodeHostile(() => checkTask(hostile), isRefusal);
        if (read !== undefined) expectFit(read);
      }),
      { numRuns: RUNS },
    );
  });
});
