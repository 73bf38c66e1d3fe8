import { expect, test } from '@jest/globals';
import * as codec from '../src/codec/index.js';
import * as core from '../src/index.js';
import type {
  BasicStatus,
  BootstrapPeer,
  Bytes,
  ConfChange,
  ConfState,
  Config,
  Entry,
  HardState,
  Index,
  InitialState,
  LocalMessage,
  Message,
  NetworkMessage,
  NodeId,
  ProgressView,
  Ready,
  Snapshot,
  Status,
  Term,
} from '../src/index.js';
import * as driver from '../src/node/index.js';
import type { CallOptions, Node, ProposalResult } from '../src/node/index.js';
import * as testing from '../src/testing/index.js';

/** What others build on. A difference here is a change for all of them. */
interface RawNodeApi {
  tick(): void;
  campaign(): void;
  propose(data: Uint8Array): void;
  proposeConfChange(change: ConfChange): void;
  applyConfChange(change: ConfChange): ConfState;
  step(message: Message): void;
  hasReady(): boolean;
  ready(): Ready;
  peekReady(): Ready;
  advance(): void;
  readIndex(requestCtx: Uint8Array): void;
  transferLeader(transferee: NodeId): void;
  forgetLeader(): void;
  reportUnreachable(id: NodeId): void;
  reportSnapshot(id: NodeId, status: 'finish' | 'failure'): void;
  status(): Status;
  basicStatus(): BasicStatus;
  visitProgress(
    visit: (id: NodeId, type: 'peer' | 'learner', progress: ProgressView) => void,
  ): void;
  bootstrap(peers: readonly BootstrapPeer[]): void;
}

interface MemoryStorageApi {
  initialState(): InitialState;
  firstIndex(): Index;
  lastIndex(): Index;
  term(index: Index): Term | 'compacted' | 'unavailable';
  entries(lo: Index, hi: Index, maxSize: Bytes): readonly Entry[] | 'compacted' | 'unavailable';
  snapshot(): Snapshot;
  setHardState(state: HardState): void;
  append(entries: readonly Entry[]): void;
  applySnapshot(snapshot: Snapshot): 'applied' | 'outOfDate';
  createSnapshot(
    index: Index,
    confState: ConfState | undefined,
    data: Uint8Array,
  ): Snapshot | 'outOfDate';
  compact(index: Index): 'compacted' | 'alreadyCompacted';
}

interface NodeApi {
  propose(data: Uint8Array, options?: CallOptions): Promise<ProposalResult>;
  proposeConfChange(change: ConfChange, options?: CallOptions): Promise<ConfState>;
  linearizableRead(options?: CallOptions): Promise<Index>;
  receive(message: NetworkMessage): void;
  transferLeadership(to: NodeId, options?: CallOptions): Promise<void>;
  status(): Status;
  stop(): Promise<void>;
  readonly fatal: Promise<core.RaftError>;
}

/** Values that a configuration may leave out, and those that it may not. */
type RequiredFields =
  'id' | 'storage' | 'electionTick' | 'heartbeatTick' | 'maxInflightMsgs' | 'random';
type RequiredOf<T> = { [K in keyof T]-?: object extends Pick<T, K> ? never : K }[keyof T];

type Same<A, B> = [A, B] extends [B, A] ? true : false;
type Keys<A, B> = Same<keyof A, keyof B>;

/** Checked by the compiler: a difference makes one of them false. */
const TYPES: readonly true[] = [
  true satisfies Same<Pick<core.RawNode, keyof RawNodeApi>, RawNodeApi>,
  true satisfies Keys<core.RawNode, RawNodeApi>,
  true satisfies Same<Pick<core.MemoryStorage, keyof MemoryStorageApi>, MemoryStorageApi>,
  true satisfies Keys<core.MemoryStorage, MemoryStorageApi>,
  true satisfies Same<Pick<Node, keyof NodeApi>, NodeApi>,
  true satisfies Same<RequiredOf<Config>, RequiredFields>,
  true satisfies Same<NetworkMessage, Exclude<Message, LocalMessage>>,
  true satisfies Same<core.MsgSnap['snapshot'], Snapshot>,
  true satisfies Same<ReturnType<typeof core.message<'MsgSnap'>>, core.MsgSnap>,
];

test.each<[string, object, readonly string[]]>([
  [
    'raft-ts',
    core,
    [
      'ConfChangeError ConfigError LEAVE_JOINT LOCAL_APPEND_THREAD LOCAL_APPLY_THREAD MAX_INDEX',
      'MAX_NODE_ID MemoryStorage NONE ProposalDroppedError RaftCodecError RaftError',
      'RaftInvariantError RawNode StepError confchange decodeConfChange describeConfChange',
      'describeConfState describeConfig describeEntries describeEntry describeHardState',
      'describeMessage describeProgress describeReady describeSnapshot describeSoftState',
      'encodeConfChange entriesSize entrySize message quorum',
    ],
  ],
  ['raft-ts/node', driver, ['DEFAULT_LIMITS DriverError Node']],
  [
    'raft-ts/codec',
    codec,
    [
      'LEAVE_JOINT decodeConfChange decodeConfState decodeEntry decodeHardState decodeMessage',
      'decodeSnapshot encodeConfChange encodeConfState encodeEntry encodeHardState encodeMessage',
      'encodeSnapshot entriesSize entrySize',
    ],
  ],
  [
    'raft-ts/testing',
    testing,
    ['LOG_STORE_CONTRACT LogStoreContractError MemoryLogStore setRandomizedElectionTimeout'],
  ],
])('%s exports what it promises, and nothing else', (_, entry, names) => {
  expect(Object.keys(entry).toSorted()).toEqual(names.join(' ').split(' '));
  expect(TYPES).not.toContain(false);
});

test('the numbers that everything else depends on', () => {
  expect(core.NONE).toBe(0);
  expect(core.MAX_NODE_ID).toBe(2 ** 53 - 3);
  expect(core.LOCAL_APPEND_THREAD).toBe(2 ** 53 - 1);
  expect(core.LOCAL_APPLY_THREAD).toBe(2 ** 53 - 2);
  expect(Object.keys(core.quorum)).toEqual(['committedIndex', 'voteResult']);
  expect(Object.keys(core.confchange).toSorted()).toEqual(
    'empty enterJoint leaveJoint restore simple'.split(' '),
  );
  expect(core.quorum.committedIndex([new Set(), new Set()], () => 1)).toBe(Infinity);
});
