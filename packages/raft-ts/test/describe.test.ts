import { describe, expect, test } from '@jest/globals';
import {
  describeConfChange,
  describeEntries,
  describeEntry,
  describeHardState,
  describeMessage,
  describeReady,
  describeSnapshot,
  describeSoftState,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  message,
} from '../src/index.js';
import type { Entry, LogLevel } from '../src/index.js';
import { MemoryStorage, RawNode } from '../src/index.js';
import { bytes } from './support/bytes.js';
import { Cluster } from './support/cluster.js';

function entry(index: number, data: Uint8Array): Entry {
  return { term: 1, index, type: 'EntryNormal', data };
}

describe('text forms', () => {
  test.each([
    ['plain', '"plain"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['tab\tline\n\u0007\u0008\v\f\r', '"tab\\tline\\n\\a\\b\\v\\f\\r"'],
    ['über 世界 🙂', '"über 世界 🙂"'],
    ['\u0000\u007f', '"\\x00\\x7f"'],
    ['\u200b\u{e0001}', '"\\u200b\\U000e0001"'],
  ])('payload %j', (payload, quoted) => {
    expect(describeEntry(entry(2, bytes(payload)))).toBe(`1/2 EntryNormal ${quoted}`);
  });

  test('a payload that is no UTF-8', () => {
    const data = Uint8Array.of(0x61, 0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0xe2, 0x82, 0xf8, 0x80);
    expect(describeEntry(entry(2, data))).toBe(
      '1/2 EntryNormal "a\\xff\\xc0\\x80\\xed\\xa0\\x80\\xe2\\x82\\xf8\\x80"',
    );
  });

  test('states, changes and snapshots', () => {
    expect(describeHardState({ term: 1, vote: 0, commit: 3 })).toBe('Term:1 Commit:3');
    expect(describeHardState({ term: 1, vote: 2, commit: 3 })).toBe('Term:1 Vote:2 Commit:3');
    expect(describeSoftState({ lead: 1, raftState: 'StateLeader' })).toBe(
      'Lead:1 State:StateLeader',
    );
    expect(
      describeConfChange({
        version: 2,
        transition: 'auto',
        changes: [
          {
            type: 'ConfChangeAddNode',
            nodeId: 1,
          },
          {
            type: 'ConfChangeAddLearnerNode',
            nodeId: 2,
          },
          {
            type: 'ConfChangeRemoveNode',
            nodeId: 3,
          },
          {
            type: 'ConfChangeUpdateNode',
            nodeId: 4,
          },
        ],
      }),
    ).toBe('v1 l2 r3 u4');
    const empty = { voters: [1, 2], votersOutgoing: [], learners: [], learnersNext: [] };
    const metadata = { index: 5, term: 4, confState: { ...empty, autoLeave: false } };
    expect(describeSnapshot({ data: bytes('secret'), metadata })).toBe(
      'Index:5 Term:4 ConfState:Voters:[1 2] VotersOutgoing:[] Learners:[] LearnersNext:[] ' +
        'AutoLeave:false',
    );
  });

  test('a storage message with responses', () => {
    const responses = [
      message('MsgAppResp', { from: 10, to: 11, term: 1, index: 3 }),
      message('MsgStorageAppendResp', { from: LOCAL_APPEND_THREAD, to: 10, term: 1, index: 3 }),
    ];
    const m = message('MsgStorageAppend', {
      from: 10,
      to: LOCAL_APPEND_THREAD,
      term: 1,
      commit: 2,
      vote: 10,
      responses,
      entries: [entry(2, bytes('a')), entry(3, bytes('b'))],
    });
    expect(describeMessage(m)).toBe(
      [
        'a->AppendThread MsgStorageAppend Term:1 Log:0/0 Commit:2 Vote:10 Entries:[',
        '  1/2 EntryNormal "a"',
        '  1/3 EntryNormal "b"',
        '] Responses:[',
        '  a->b MsgAppResp Term:1 Log:0/3',
        '  AppendThread->a MsgStorageAppendResp Term:1 Log:0/3',
        ']',
      ].join('\n'),
    );
    const rejected = message('MsgAppResp', { to: LOCAL_APPLY_THREAD, reject: true, rejectHint: 4 });
    expect(describeMessage(rejected)).toBe(
      'None->ApplyThread MsgAppResp Term:0 Log:0/0 Rejected (Hint: 4)',
    );
  });

  test('a Ready', () => {
    const cluster = new Cluster({ voters: [1] });
    expect(describeReady(cluster.node(1).peekReady())).toBe('<empty Ready>');
    cluster.elect(1);
    cluster.propose(1, 'a');
    cluster.node(1).readIndex(bytes('r'));
    expect(describeReady(cluster.node(1).ready())).toBe(
      'Ready MustSync=true:\nReadStates [{2 [114]}]\nEntries:\n1/3 EntryNormal "a"\n',
    );
    expect(describeEntries([])).toBe('');
  });
});

describe('log lines', () => {
  test('are not put together unless they are wanted', () => {
    const asked: LogLevel[] = [];
    const written: string[] = [];
    const node = new RawNode({
      id: 1,
      storage: new MemoryStorage(),
      electionTick: 10,
      heartbeatTick: 1,
      maxInflightMsgs: 1,
      random: () => 0,
      logger: {
        enabled(level) {
          asked.push(level);
          return level === 'WARN';
        },
        log: (level, text) => written.push(`${level} ${text}`),
      },
    });
    node.campaign();
    expect(asked).toContain('INFO');
    expect(written).toEqual(['WARN 1 is unpromotable and can not campaign']);
  });

  test('never show payloads or contexts', () => {
    const lines: string[] = [];
    const logger = {
      enabled: () => true,
      log: (_: LogLevel, text: string) => void lines.push(text),
    };
    const cluster = new Cluster({ voters: [1, 2, 3], config: { logger } });
    cluster.elect(1);
    cluster.propose(1, 'SECRET');
    const change = { type: 'ConfChangeAddNode', nodeId: 4 } as const;
    const proposal = { version: 1, change, context: bytes('SECRET') } as const;
    cluster.node(1).proposeConfChange(proposal);
    cluster.node(1).proposeConfChange(proposal);
    cluster.node(1).readIndex(bytes('SECRET'));
    cluster.settle();
    expect(lines.some((line) => line.includes('ignoring conf change'))).toBe(true);
    expect(lines.filter((line) => line.includes('SECRET'))).toEqual([]);
  });
});
