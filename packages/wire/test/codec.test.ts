import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { loadSync } from '@grpc/proto-loader';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { decodeMessage } from '../src/decode.js';
import { encodeMessage } from '../src/encode.js';
import { MESSAGES } from '../src/generated/descriptor.js';
import { loadWire } from '../src/index.js';
import type { AnyMethod } from '../src/index.js';
import { createSchema } from '../src/schema.js';
import type { FieldSchema, MessageSchema } from '../src/schema.js';
import { ITEM_COUNT_MAX } from '../src/wire-form.js';

const protoDir = join(dirname(fileURLToPath(import.meta.url)), '../../../proto');
const schema = createSchema(MESSAGES);
const names = [...schema.keys()];

/** Another implementation of the same format, reading the .proto files themselves. */
const oracle = loadSync(
  [
    'admins',
    'cluster',
    'common',
    'dispatch',
    'identity',
    'join',
    'local',
    'managers',
    'nodes',
    'raft',
  ]
    .concat(['secrets', 'services', 'tasks', 'tokens'])
    .map((name) => `conclave/v1/${name}.proto`),
  { includeDirs: [protoDir], longs: Number, defaults: true, oneofs: true },
);

function oracleOf(name: string): MessageTypeDefinition<object, object> {
  return oracle[`conclave.v1.${name}`] as MessageTypeDefinition<object, object>;
}

function message(name: string): MessageSchema {
  const found = schema.get(name);
  if (found === undefined) throw new Error(name);
  return found;
}

function scalar(field: FieldSchema): fc.Arbitrary<unknown> {
  switch (field.type) {
    case 'string':
      return fc.string({ unit: 'binary', maxLength: 20 });
    case 'bytes':
      return fc.uint8Array({ maxLength: 20 });
    case 'bool':
      return fc.boolean();
    case 'uint32':
      return fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 0xffff_ffff }));
    case 'int32':
      return fc.integer();
    default:
      return fc.oneof(fc.integer({ min: 0, max: 300 }), fc.maxSafeNat());
  }
}

function valueOf(field: FieldSchema): fc.Arbitrary<unknown> {
  if (field.label === 'map') {
    return fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), { maxKeys: 4 });
  }
  const one = field.message === undefined ? scalar(field) : values(field.message);
  return field.label === 'repeated' ? fc.array(one, { maxLength: 3 }) : one;
}

/** Any value of a message, every field present or not, at most one member of each oneof. */
function values(of: MessageSchema): fc.Arbitrary<Record<string, unknown>> {
  const all = Object.fromEntries(of.fields.map((field) => [field.name, valueOf(field)]));
  return fc.tuple(fc.record(all, { requiredKeys: [] }), fc.nat()).map(([record, choice]) => {
    const members = of.fields.filter((field) => field.group !== undefined && field.name in record);
    members.splice(members.length === 0 ? 0 : choice % members.length, 1);
    for (const field of members) delete record[field.name];
    return record;
  });
}

/** Without the names that the oracle puts in for `optional` fields. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (ArrayBuffer.isView(value)) return [...(value as Uint8Array)];
  if (typeof value !== 'object' || value === null) return value;
  const pairs = Object.entries(value).filter(
    ([name]) => !/^_[a-z]+[A-Z]?/.test(name) || name.startsWith('__'),
  );
  return Object.fromEntries(pairs.map(([name, item]) => [name, plain(item)]));
}

describe('the codec agrees with another implementation', () => {
  test.each(names)('%s', (name) => {
    const of = message(name);
    fc.assert(
      fc.property(values(of), (value) => {
        const ours = encodeMessage(of, value);
        const decoded = decodeMessage(of, ours);
        const theirs = oracleOf(name).deserialize(ours);
        expect(labels(plain(decoded))).toEqual(labels(plain(theirs)));
        expect(plain(decodeMessage(of, oracleOf(name).serialize(value)))).toEqual(plain(decoded));
        expect(encodeMessage(of, decoded)).toEqual(ours);
      }),
      { numRuns: 25 },
    );
  });

  /** The oracle loses a key of this name. */
  function labels(value: unknown): unknown {
    return JSON.parse(
      JSON.stringify(value, (key, item: unknown) => (key === '__proto__' ? undefined : item)),
    );
  }
});

describe('presence', () => {
  const { Get } = loadWire().Tasks;
  const trip = (
    value: Parameters<typeof Get.encodeResponse>[0],
  ): ReturnType<typeof Get.decodeResponse> => Get.decodeResponse(Get.encodeResponse(value));

  test('absent: defaults, null for messages, no property for optional fields', () => {
    const task = trip({});
    expect(task).toMatchObject({ id: '', slot: 0, createdAtMs: 0, spec: null, receipts: [] });
    expect('exitCode' in task).toBe(false);
    expect(Get.encodeResponse({}).length).toBe(0);
  });

  test('an optional field with its default is there', () => {
    expect(trip({ exitCode: 0 }).exitCode).toBe(0);
    expect(trip({ exitCode: -1 }).exitCode).toBe(-1);
    expect('exitCode' in trip({ exitCode: undefined })).toBe(false);
    const binding = trip({ spec: { bindings: [{ uid: 0, mode: 0o440 }] } }).spec?.bindings[0];
    expect(binding).toMatchObject({ uid: 0, mode: 0o440, onChange: null });
    expect(binding !== undefined && 'gid' in binding).toBe(false);
  });

  test('an empty message is there', () => {
    expect(trip({ spec: {} }).spec).toMatchObject({ name: '', env: {} });
    expect(trip({ spec: null }).spec).toBeNull();
  });

  test('a oneof tells which member is there', () => {
    const { Session } = loadWire().Dispatcher;
    const back = Session.decodeRequest(Session.encodeRequest({ heartbeat: {} }));
    expect(back).toEqual({ heartbeat: { sessionId: '' }, message: 'heartbeat' });
    expect(Session.decodeRequest(Buffer.alloc(0))).toEqual({});
  });
});

describe('encoding refuses what does not fit', () => {
  test.each([
    ['slot', -1],
    ['slot', 2 ** 32],
    ['slot', 1.5],
    ['slot', '1'],
    ['createdAtMs', 2 ** 53],
    ['createdAtMs', -1],
    ['createdAtMs', Number.NaN],
    ['exitCode', 2 ** 31],
    ['id', 1],
    ['receipts', {}],
    ['receipts', [1]],
    ['spec', 'x'],
    ['spec', { env: { A: 1 } }],
    ['spec', { command: [1] }],
  ])('%s: %j', (name, value) => {
    expect(() => encodeMessage(message('Task'), { [name]: value })).toThrow(
      expect.objectContaining({ code: 'CV_ARGUMENT_INVALID' }),
    );
  });

  test('base64 for bytes, and two members of a oneof', () => {
    expect(() => encodeMessage(message('SecretPart'), { frame: 'AAAA' })).toThrow(
      'frame must be bytes',
    );
    expect(() => encodeMessage(message('AgentMessage'), { ack: {}, heartbeat: {} })).toThrow(
      'message',
    );
  });
});

describe('decoding refuses what is malformed', () => {
  const bad = (name: string, bytes: readonly number[]): unknown => {
    try {
      return decodeMessage(message(name), Uint8Array.from(bytes));
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  test.each([
    ['a cut tag', 'Task', [0x80]],
    ['a cut varint', 'Task', [0x20, 0x80]],
    ['a varint of 11 bytes', 'Task', [0x60, ...Array<number>(10).fill(0x80), 1]],
    ['a varint above 64 bits', 'Task', [0x60, ...Array<number>(9).fill(0xff), 2]],
    ['a number above 2^53-1', 'Task', [0x60, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]],
    ['a uint32 above its range', 'Task', [0x20, 0x80, 0x80, 0x80, 0x80, 0x10]],
    ['an int32 that is half negative', 'Task', [0x58, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['a bool of 2', 'LogRequest', [0x20, 2]],
    ['a length beyond the end', 'Task', [0x0a, 2, 0x61]],
    ['a length beyond the part', 'CreateServiceRequest', [0x0a, 2, 0x0a, 1, 0x61]],
    ['text that is not UTF-8', 'Task', [0x0a, 1, 0xff]],
    ['text behind a byte order mark', 'Task', [0x0a, 4, 0xef, 0xbb, 0xbf, 0x61]],
    ['another form', 'Task', [0x08, 1]],
    ['a group', 'Task', [0x0b, 0x0c]],
    ['an unknown field of unknown form', 'Task', [0xfb, 0x7f]],
    ['an unknown field beyond the end', 'Task', [0xfa, 0x7f, 9]],
    ['an unknown fixed field beyond the end', 'Task', [0xf9, 0x7f, 0]],
    ['field number 0', 'Task', [0x02, 0]],
    ['a field twice', 'Task', [0x0a, 1, 0x61, 0x0a, 1, 0x62]],
    ['two members of a oneof', 'AgentMessage', [0x12, 0, 0x2a, 0]],
    ['a key of a map twice', 'Node', [0x32, 3, 0x0a, 1, 0x61, 0x32, 3, 0x0a, 1, 0x61]],
    ['a key twice in an entry', 'Node', [0x32, 6, 0x0a, 1, 0x61, 0x0a, 1, 0x61]],
  ])('%s', (_what, name, bytes) => {
    expect(bad(name, bytes)).toBe('CV_PROTOCOL');
  });

  test('more items than a message may have', () => {
    const reports = Array.from({ length: ITEM_COUNT_MAX + 1 }, () => [0x12, 0]).flat();
    expect(bad('TaskReports', reports)).toBe('CV_LIMIT_EXCEEDED');
    expect(bad('TaskReports', reports.slice(2))).toMatchObject({ batch: 0 });
  });

  test('fields of a newer version are skipped, whatever their form', () => {
    const bytes = [0xf8, 0x7f, 0x80, 1, 0xf9, 0x7f, ...Array<number>(8).fill(1), 0xfa, 0x7f, 1, 0];
    expect(bad('Committed', [...bytes, 0xfd, 0x7f, 1, 1, 1, 1, 0x08, 5])).toEqual({ index: 5 });
  });

  test('a label of the name __proto__ is a label', () => {
    const value = { labels: Object.fromEntries([['__proto__', 'x']]) };
    const back = decodeMessage(message('Node'), encodeMessage(message('Node'), value)) as {
      labels: object;
    };
    expect(Object.keys(back.labels)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(back.labels)).toBe(Object.getPrototypeOf({}));
  });

  test('bytes are a copy', () => {
    const bytes = encodeMessage(message('SecretPart'), { frame: Uint8Array.of(1, 2, 3) });
    const { frame } = decodeMessage(message('SecretPart'), bytes) as { frame: Uint8Array };
    bytes.fill(0);
    expect([...frame]).toEqual([1, 2, 3]);
  });

  test('whatever comes in, it is a message or a refusal', () => {
    fc.assert(
      fc.property(
        fc
          .constantFrom(...names)
          .chain((name) =>
            fc.tuple(
              fc.constant(name),
              values(message(name)),
              fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
            ),
          ),
        ([name, value, changes]) => {
          const bytes = encodeMessage(message(name), value);
          for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
          const result = bad(name, [...bytes]);
          if (typeof result === 'string') expect(result).toBe('CV_PROTOCOL');
          else expect(typeof result).toBe('object');
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('the services', () => {
  test('are those of the .proto files, with their kinds', () => {
    for (const [service, methods] of Object.entries(loadWire())) {
      const expected = oracle[`conclave.v1.${service}`] as unknown as Record<
        string,
        { path: string; requestStream: boolean; responseStream: boolean }
      >;
      expect(Object.keys(methods as object).sort()).toEqual(Object.keys(expected).sort());
      for (const [name, method] of Object.entries(methods as Record<string, AnyMethod>)) {
        expect(method.path).toBe(expected[name]?.path);
        const isRequestStream = method.kind === 'bidi';
        const isResponseStream = method.kind === 'server-stream' || method.kind === 'bidi';
        expect(isRequestStream).toBe(expected[name]?.requestStream);
        expect(isResponseStream).toBe(expected[name]?.responseStream);
      }
    }
  });

  test('no message contains itself, so decoding has a bounded depth', () => {
    const depthOf = (of: MessageSchema, path: readonly string[]): number => {
      expect(path).not.toContain(of.name);
      const depths = of.fields.flatMap((field) =>
        field.message === undefined ? [] : [depthOf(field.message, [...path, of.name])],
      );
      return 1 + Math.max(0, ...depths);
    };
    for (const of of schema.values()) expect(depthOf(of, [])).toBeLessThanOrEqual(8);
  });

  test('no message has a field for a value in the clear', () => {
    for (const [name, fields] of Object.entries(MESSAGES)) {
      for (const field of fields)
        expect(`${name}.${field.name}`).not.toMatch(/\.(value|plaintext)$/);
    }
  });
});
