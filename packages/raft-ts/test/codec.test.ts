import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decodeConfChange,
  decodeConfState,
  decodeEntry,
  decodeHardState,
  decodeMessage,
  decodeSnapshot,
  encodeConfChange,
  encodeConfState,
  encodeEntry,
  encodeHardState,
  encodeMessage,
  encodeSnapshot,
  LEAVE_JOINT,
} from '../src/codec/index.js';
import type { ConfChange, ConfChangeType, Entry, NetworkMessage } from '../src/index.js';
import {
  entrySize,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MAX_INDEX,
  MAX_NODE_ID,
  message,
  RaftCodecError,
} from '../src/index.js';
import { bytes } from './support/bytes.js';

const data = fc.uint8Array({ maxLength: 40 });
const uint = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat().map((n) => Math.min(n, MAX_INDEX)),
);
const id = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: MAX_NODE_ID }));
const entryType = fc.constantFrom<Entry['type']>(
  ...(['EntryNormal', 'EntryConfChange', 'EntryConfChangeV2'] as const),
);
const entry = fc.record({ term: uint, index: uint, type: entryType, data });
const ids = fc.uniqueArray(id, { maxLength: 5 });
const confState = fc.record({
  voters: ids,
  votersOutgoing: ids,
  learners: ids,
  learnersNext: ids,
  autoLeave: fc.boolean(),
});

/** A configuration that changes can lead to. */
const realConfState = fc
  .tuple(fc.uniqueArray(id, { minLength: 1, maxLength: 5 }), fc.nat(4))
  .map(([all, count]) => ({
    voters: all.slice(0, 1 + count),
    votersOutgoing: [],
    learners: all.slice(1 + count),
    learnersNext: [],
    autoLeave: false,
  }));
const snapshot = fc.record({
  data,
  metadata: fc.record({ index: uint, term: uint, confState: realConfState }),
});

/** Entries that continue a base. */
const appended = fc
  .tuple(fc.nat(1000), fc.nat(1000), fc.array(fc.tuple(fc.nat(2), data), { maxLength: 6 }))
  .map(([index, logTerm, list]) => {
    let term = logTerm;
    const entries = list.map(([step, payload], i) => ({
      term: (term += step),
      index: index + 1 + i,
      type: 'EntryNormal' as const,
      data: payload,
    }));
    return { index, logTerm, term: term + 1, entries };
  });

const simpleType = fc.constantFrom(
  ...([
    'MsgAppResp',
    'MsgVote',
    'MsgVoteResp',
    'MsgHeartbeat',
    'MsgHeartbeatResp',
    'MsgTransferLeader',
    'MsgTimeoutNow',
    'MsgReadIndexResp',
    'MsgPreVote',
    'MsgPreVoteResp',
    'MsgForgetLeader',
  ] as NetworkMessage['type'][]),
);
const numbers = fc.record({
  from: id,
  to: id,
  term: uint,
  logTerm: uint,
  index: uint,
  commit: uint,
  vote: uint,
  reject: fc.boolean(),
  rejectHint: uint,
  context: data,
});
const networkMessage = fc.oneof(
  fc.tuple(simpleType, numbers).map(([type, fields]) => message(type, fields)),
  fc.tuple(numbers, appended).map(([f, a]) => message('MsgApp', { ...f, ...a })),
  fc.tuple(numbers, snapshot).map(([f, s]) => message('MsgSnap', { ...f, snapshot: s })),
  fc
    .tuple(numbers, data)
    .map(([f, d]) =>
      message('MsgProp', { ...f, entries: [{ term: 0, index: 0, type: 'EntryNormal', data: d }] }),
    ),
  fc.tuple(numbers, data).map(([f, d]) =>
    message('MsgReadIndex', {
      ...f,
      entries: [{ term: 0, index: 0, type: 'EntryNormal', data: d }],
    }),
  ),
);

const single = fc.record({
  type: fc.constantFrom<ConfChangeType>(
    ...([
      ...(['ConfChangeAddNode', 'ConfChangeRemoveNode'] as const),
      ...(['ConfChangeUpdateNode', 'ConfChangeAddLearnerNode'] as const),
    ] as const),
  ),
  nodeId: fc.oneof(fc.constant(0), id),
});
const context = fc.uint8Array({ minLength: 1, maxLength: 9 });
const confChange: fc.Arbitrary<ConfChange> = fc.oneof(
  single.map((change): ConfChange => ({ version: 1, change })),
  fc.record({ version: fc.constant(1 as const), change: single, context }),
  fc.record({
    version: fc.constant(2 as const),
    transition: fc.constantFrom(
      'auto' as const,
      'jointImplicit' as const,
      'jointExplicit' as const,
    ),
    changes: fc.array(single, { maxLength: 5 }),
    context,
  }),
);

describe('round trips', () => {
  test('messages', () => {
    fc.assert(
      fc.property(networkMessage, (m) => {
        expect(decodeMessage(encodeMessage(m))).toEqual(m);
      }),
      { numRuns: 500 },
    );
  });

  test('entries, in exactly the size that limits count', () => {
    fc.assert(
      fc.property(entry, (e) => {
        const encoded = encodeEntry(e);
        expect(encoded).toHaveLength(entrySize(e));
        expect(decodeEntry(encoded)).toEqual(e);
      }),
      { numRuns: 500 },
    );
  });

  test('snapshots, configurations, hard states and changes', () => {
    fc.assert(
      fc.property(
        snapshot,
        confState,
        fc.tuple(uint, uint, uint),
        confChange,
        (s, c, h, change) => {
          expect(decodeSnapshot(encodeSnapshot(s))).toEqual(s);
          expect(decodeConfState(encodeConfState(c))).toEqual(c);
          const [term, vote, commit] = h;
          const hardState = { term, vote, commit };
          expect(decodeHardState(encodeHardState(hardState))).toEqual(hardState);
          const encoded = encodeConfChange(change);
          expect(decodeConfChange({ term: 1, index: 1, ...encoded })).toEqual(change);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('payloads are views of the input', () => {
    const encoded = encodeEntry({ term: 1, index: 2, type: 'EntryNormal', data: bytes('payload') });
    expect(decodeEntry(encoded).data.buffer).toBe(encoded.buffer);
  });

  test('leaving a joint configuration has no size', () => {
    expect(encodeConfChange(LEAVE_JOINT)).toEqual({
      type: 'EntryConfChangeV2',
      data: new Uint8Array(0),
    });
    const empty: Entry = { term: 1, index: 1, type: 'EntryConfChangeV2', data: new Uint8Array(0) };
    expect(decodeConfChange(empty)).toBe(LEAVE_JOINT);
  });
});

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

describe('the form is that of raftpb', () => {
  test('a message, field by field', () => {
    const m = message('MsgApp', {
      to: 2,
      from: 1,
      term: 300,
      logTerm: 299,
      index: 7,
      commit: 6,
      entries: [
        {
          term: 300,
          index: 8,
          type: 'EntryNormal',
          data: bytes('hi'),
        },
      ],
    });
    expect(encodeMessage(m)).toEqual(
      hex('08 03 10 02 18 01 20 ac02 28 ab02 30 07 3a 09 10 ac02 18 08 22 02 6869 40 06'),
    );
  });

  test('a snapshot', () => {
    const confState = { voters: [1, 2], votersOutgoing: [], learners: [3], learnersNext: [] };
    const metadata = { index: 5, term: 4, confState: { ...confState, autoLeave: true } };
    expect(encodeSnapshot({ data: bytes('s'), metadata })).toEqual(
      hex('0a 01 73 12 0e 0a 08 08 01 08 02 10 03 28 01 10 05 18 04'),
    );
  });

  test('a change', () => {
    const change = { type: 'ConfChangeAddLearnerNode', nodeId: 300 } as const;
    expect(encodeConfChange({ version: 1, change })).toEqual({
      type: 'EntryConfChange',
      data: hex('10 03 18 ac02'),
    });
    expect(
      encodeConfChange({ version: 2, transition: 'jointExplicit', changes: [change] }).data,
    ).toEqual(hex('08 02 12 05 08 03 10 ac02'));
  });

  test('fields of later versions are passed over, lists may be packed', () => {
    expect(decodeHardState(hex('08 01 a8 06 05 b2 06 01 ff b9 06 0000000000000000'))).toEqual({
      term: 1,
      vote: 0,
      commit: 0,
    });
    expect(decodeHardState(hex('bd 06 00000000 18 07')).commit).toBe(7);
    expect(decodeConfState(hex('0a 02 01 02')).voters).toEqual([1, 2]);
    const data = hex('08 07 10 01 18 05');
    const { change } = decodeConfChange({ term: 1, index: 1, type: 'EntryConfChange', data }) as {
      change: unknown;
    };
    expect(change).toEqual({ type: 'ConfChangeRemoveNode', nodeId: 5 });
    const several = hex('12 06 18 07 08 01 10 05');
    expect(
      decodeConfChange({ term: 1, index: 1, type: 'EntryConfChangeV2', data: several }),
    ).toEqual({ version: 2, transition: 'auto', changes: [change] });
  });
});

describe('decoding refuses', () => {
  function refused(encoded: Uint8Array, limits = {}): void {
    expect(() => decodeMessage(encoded, limits)).toThrow(RaftCodecError);
  }
  const base = '10 02 18 01 20 05';

  test.each([
    ['no type, which would be a local one', '10 02 18 01'],
    ['an unknown type', `08 18 ${base}`],
    ['a local type', `08 13 ${base}`],
    ['two types', `08 08 ${base} 08 09`],
    ['a number above 2^53 - 1', '08 08 10 80 80 80 80 80 80 80 10'],
    ['2^64 - 1', '08 08 10 ff ff ff ff ff ff ff ff ff 01'],
    ['a number without end', '08 08 10 80 80 80 80 80 80 80 80 80 80 01'],
    ['an unknown number without end', '08 08 78 80 80 80 80 80 80 80 80 80 80 01'],
    ['an unknown number that is cut off', '08 08 78 80'],
    ['a number that is cut off', '08 08 10 80'],
    ['bytes that are cut off', '08 08 62 05 01'],
    ['a wire type that is not that of the field', '08 08 12 01 05'],
    ['a group', '08 08 13'],
    ['field number 0', '08 08 00 00'],
    ['responses', `08 03 ${base} 72 02 08 04`],
    ['a gap in the entries', `08 03 ${base} 28 05 30 07 3a 04 10 05 18 09`],
    ['a gap between entries', `08 03 ${base} 28 05 30 07 3a 04 10 05 18 08 3a 04 10 05 18 0a`],
    ['entry terms that go back', `08 03 ${base} 28 03 30 07 3a 04 10 04 18 08 3a 04 10 03 18 09`],
    ['entries of a term after the message', `08 03 ${base} 28 05 30 07 3a 04 10 06 18 08`],
    ['an unknown entry type', `08 03 ${base} 28 05 30 07 3a 06 08 03 10 05 18 08`],
    ['a damaged change', `08 02 ${base} 3a 05 08 02 22 01 ff`],
    ['a snapshot message without a snapshot', `08 07 ${base}`],
  ])('%s', (_, text) => refused(hex(text)));

  test.each([LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD])('local storage thread %d', (thread) => {
    const m = message('MsgHeartbeat', { from: thread, to: 1, term: 1 });
    expect(() => encodeMessage(m)).toThrow(RaftCodecError);
    const id = thread === LOCAL_APPEND_THREAD ? 'ff' : 'fe';
    const data = hex(`10 00 18 ${id} ff ff ff ff ff ff 0f`);
    const change: Entry = { term: 1, index: 1, type: 'EntryConfChange', data };
    expect(() => decodeConfChange(change)).toThrow(`${thread} is not a node id`);
  });

  test('what is larger than its limits', () => {
    const entries = Array.from({ length: 3 }, (_, i) => ({
      term: 1,
      index: i + 1,
      type: 'EntryNormal' as const,
      data: bytes('x'),
    }));
    const encoded = encodeMessage(message('MsgApp', { from: 1, to: 2, term: 1, entries }));
    expect(decodeMessage(encoded, { entriesMax: 3, sizeMax: encoded.length }).entries).toEqual(
      entries,
    );
    refused(encoded, { entriesMax: 2 });
    refused(encoded, { sizeMax: encoded.length - 1 });
    expect(() => decodeEntry(new Uint8Array(9), { sizeMax: 8 })).toThrow(RaftCodecError);
    expect(() => decodeSnapshot(new Uint8Array(9), { sizeMax: 8 })).toThrow(RaftCodecError);
    const many = new Uint8Array(20_004).fill(1);
    many.set(hex('0a a0 9c 01'));
    expect(() => decodeConfState(many)).toThrow('list too long');
  });

  test('changes in entries that carry none', () => {
    const normal: Entry = { term: 1, index: 1, type: 'EntryNormal', data: new Uint8Array(0) };
    expect(() => decodeConfChange(normal)).toThrow(RaftCodecError);
  });

  test('any bytes: either a message that encodes again, or a RaftCodecError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
        try {
          const m = decodeMessage(noise);
          expect(decodeMessage(encodeMessage(m))).toEqual(m);
        } catch (error) {
          expect(error).toBeInstanceOf(RaftCodecError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('damaged messages: the same', () => {
    fc.assert(
      fc.property(networkMessage, fc.nat(), fc.integer({ min: 1, max: 255 }), (m, at, flip) => {
        const encoded = encodeMessage(m);
        const damaged = Uint8Array.from(encoded);
        damaged[at % damaged.length] = (damaged[at % damaged.length] as number) ^ flip;
        try {
          decodeMessage(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(RaftCodecError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('encoding refuses', () => {
  test('local messages, responses and numbers that are none', () => {
    const local = message('MsgHup') as unknown as NetworkMessage;
    expect(() => encodeMessage(local)).toThrow(RaftCodecError);
    const responses = [message('MsgHeartbeat')];
    expect(() => encodeMessage(message('MsgHeartbeat', { responses }))).toThrow(RaftCodecError);
    for (const term of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => encodeMessage(message('MsgHeartbeat', { term }))).toThrow(RaftCodecError);
      expect(() => encodeHardState({ term, vote: 0, commit: 0 })).toThrow(RaftCodecError);
    }
    for (const nodeId of [-1, 0.5, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD]) {
      const change = { type: 'ConfChangeAddNode', nodeId } as const;
      expect(() => encodeConfChange({ version: 1, change })).toThrow(RaftCodecError);
      const changes = [change];
      expect(() => encodeConfChange({ version: 2, transition: 'auto', changes })).toThrow(
        RaftCodecError,
      );
    }
    const changes = Array.from({ length: 10_001 }, () => ({
      type: 'ConfChangeAddNode' as const,
      nodeId: 1,
    }));
    expect(() => encodeConfChange({ version: 2, transition: 'auto', changes })).toThrow(
      'too many changes',
    );
    const unknown = { type: 'Other', nodeId: 1 } as unknown as { type: ConfChangeType; nodeId: 1 };
    expect(() => encodeConfChange({ version: 1, change: unknown })).toThrow(RaftCodecError);
  });
});
