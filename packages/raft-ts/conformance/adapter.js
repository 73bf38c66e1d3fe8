/**
 * The bridge between the conformance scripts for etcd/raft and this package. Runs on the built
 * package, without a bundler: `npx tsc -b packages/raft-ts` comes first.
 */
import {
  confchange,
  decodeConfChange,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MemoryStorage,
  message,
  ProposalDroppedError,
  quorum,
  RawNode,
  StepError,
} from '../dist/index.js';
import { setRandomizedElectionTimeout } from '../dist/testing/index.js';

/** What is a returned error in etcd/raft, but a value or no error at all here. */
class ReturnedError extends Error {}

const NO_BYTES = new Uint8Array(0);

const fullEntry = ({ term = 0, index = 0, type = 'EntryNormal', data = NO_BYTES }) => ({
  term,
  index,
  type,
  data,
});

const fullSnapshot = ({ data = NO_BYTES, metadata = {} }) => {
  const { index = 0, term = 0, confState = {} } = metadata;
  const { voters = [], votersOutgoing = [], learners = [], learnersNext = [] } = confState;
  const { autoLeave = false } = confState;
  const full = { voters, votersOutgoing, learners, learnersNext, autoLeave };
  return { data, metadata: { index, term, confState: full } };
};

/** Messages that the scripts write themselves leave out what is zero. */
const fullMessage = (m) =>
  message(m.type, {
    ...m,
    entries: m.entries?.map(fullEntry),
    snapshot: m.snapshot && fullSnapshot(m.snapshot),
  });

/** A storage whose snapshot is always the present state of the scripts' state machine. */
class ScriptStorage extends MemoryStorage {
  #takeSnapshot;

  constructor(takeSnapshot) {
    super();
    this.#takeSnapshot = takeSnapshot;
  }

  snapshot() {
    return fullSnapshot(this.#takeSnapshot());
  }

  entries(lo, hi, maxSize = Number.POSITIVE_INFINITY) {
    return super.entries(lo, hi, maxSize);
  }

  applySnapshot(snapshot) {
    if (super.applySnapshot(fullSnapshot(snapshot)) === 'outOfDate') {
      throw new ReturnedError('requested index is older than the existing snapshot');
    }
  }

  compact(index) {
    if (super.compact(index) === 'alreadyCompacted') {
      throw new ReturnedError('requested index is unavailable due to compaction');
    }
  }
}

const scriptProgress = ([id, { inflights, ...rest }]) => [
  id,
  { ...rest, inflightCount: inflights.count, inflightFull: inflights.full },
];

class ScriptNode extends RawNode {
  step(m) {
    super.step(m.responses === undefined ? fullMessage(m) : m);
  }

  applyConfChange(entry) {
    return super.applyConfChange(decodeConfChange(entry));
  }

  status() {
    const { config, progress, ...rest } = super.status();
    const [voters, votersOutgoing] = config.voters.map((ids) => [...ids]);
    return { ...rest, voters, votersOutgoing, progress: [...progress].map(scriptProgress) };
  }
}

/** In etcd/raft a limit of zero is one that was not set, except for the size of messages. */
const unlessZero = (limit) => (limit === 0 ? undefined : limit);

function newNode({ logger, ...config }) {
  return new ScriptNode({
    ...config,
    maxCommittedSizePerReady: unlessZero(config.maxCommittedSizePerReady),
    maxUncommittedEntriesSize: unlessZero(config.maxUncommittedEntriesSize),
    maxInflightBytes: unlessZero(config.maxInflightBytes),
    // Our remedies; the scripts show etcd/raft without them.
    deferVoteRequests: process.env.RAFT_DEFER_VOTE_REQUESTS === '1',
    deferSoleVoterReads: false,
    logger: { enabled: () => true, log: logger },
  });
}

function newChanger() {
  let state = confchange.empty({ maxInflightMsgs: 10 });
  return {
    simple(lastIndex, changes) {
      state = confchange.simple({ ...state, lastIndex }, changes);
    },
    enterJoint(lastIndex, autoLeave, changes) {
      state = confchange.enterJoint({ ...state, lastIndex }, autoLeave, changes);
    },
    leaveJoint(lastIndex) {
      state = confchange.leaveJoint({ ...state, lastIndex });
    },
    config() {
      const { voters, learners, learnersNext, autoLeave } = state.config;
      return {
        voters: [...voters[0]],
        votersOutgoing: [...voters[1]],
        learners: [...learners],
        learnersNext: [...learnersNext],
        autoLeave,
      };
    },
    progress: () => [...state.progress].map(([id, p]) => scriptProgress([id, p.view()])),
  };
}

export default {
  name: 'raft-ts',
  localAppendThread: LOCAL_APPEND_THREAD,
  localApplyThread: LOCAL_APPLY_THREAD,
  newStorage: ({ snapshot }) => new ScriptStorage(snapshot),
  newNode,
  decodeConfChange(entry) {
    const change = decodeConfChange(entry);
    const changes = change.version === 1 ? [change.change] : change.changes;
    return { changes, context: change.context };
  },
  setRandomizedElectionTimeout,
  errorText(error) {
    const isReturned =
      error instanceof ProposalDroppedError ||
      error instanceof StepError ||
      error instanceof ReturnedError;
    return isReturned ? error.message : undefined;
  },
  quorum: {
    committedIndex(voters, votersOutgoing, acked) {
      const sets = [new Set(voters), new Set(votersOutgoing)];
      const index = quorum.committedIndex(sets, (id) => acked.get(id));
      return index === Number.POSITIVE_INFINITY ? 'infinity' : index;
    },
    voteResult: (voters, votersOutgoing, votes) =>
      quorum.voteResult([new Set(voters), new Set(votersOutgoing)], votes),
  },
  confchange: { newChanger },
};
