import { Prng } from './prng.js';
import { drawProfile } from './profiles.js';

/** Kinds of faults that can be switched off one by one. */
export const FAULT_CLASSES = [
  'crash',
  'crashAtWrite',
  'pause',
  'partition',
  'clog',
  'clock',
  'slowDisk',
  'membership',
  'transfer',
  'campaign',
  'forgetLeader',
  'compaction',
  'malformed',
] as const;

/** A kind of fault. */
export type FaultClass = (typeof FAULT_CLASSES)[number];

/** Kinds of faults of disks, which only full mode has. */
export const DISK_FAULTS = ['failDisk', 'fillDisk', 'loseDisk'] as const;

/** A kind of fault of a disk. */
export type DiskFault = (typeof DISK_FAULTS)[number];

/** How often each kind of fault comes, relative to the others; 0: never. */
export type FaultWeights = { readonly [K in FaultClass]: number } & {
  readonly [K in DiskFault]?: number;
};

/** What a run is made of. All of it is drawn from the seed; each value can be overridden. */
export interface SimParameters {
  /** Voters at the start, 1..7. */
  readonly voters: number;
  /** Learners at the start. */
  readonly learners: number;
  /** Most members that ever exist in a run, at most 30. */
  readonly membersMax: number;
  /** Events before the faults end. */
  readonly eventsMax: number;

  readonly electionTick: number;
  readonly heartbeatTick: number;
  readonly maxSizePerMsg: number;
  readonly maxCommittedSizePerReady: number;
  readonly maxUncommittedEntriesSize: number;
  readonly maxInflightMsgs: number;
  readonly maxInflightBytes: number;
  readonly asyncStorageWrites: boolean;
  readonly checkQuorum: boolean;
  readonly preVote: boolean;
  readonly stepDownOnRemoval: boolean;
  readonly disableProposalForwarding: boolean;
  readonly deferVoteRequests: boolean;
  /** Whether leaders answer reads on their lease. */
  readonly leaseReads: boolean;
  /** Whether nothing happens that a lease does not cover, so that no read on one may be old. */
  readonly trustsLeases: boolean;

  /** Microseconds between two ticks of a clock with rate 1. */
  readonly tickMicros: number;
  readonly delayMicrosMin: number;
  readonly delayMicrosSpread: number;
  /** Probability that a message is lost. */
  readonly loss: number;
  /** Probability that an append with entries is lost, beside that: makes logs differ. */
  readonly appendLoss: number;
  /** Probability that a message comes twice. */
  readonly duplication: number;
  /** Probability that a message is late, and by how much at most. */
  readonly lateness: number;
  readonly latenessMicrosMax: number;
  /** Probability that an append loses its last entries, as if its leader had a lower limit. */
  readonly clipping: number;
  /** How long a message occupies its path, and how long one may wait for that; 0: no limit. */
  readonly messageMicros: number;
  readonly backlogMicrosMax: number;
  /** Probability that the sender is told of a lost message. */
  readonly lossReports: number;
  /** Whether messages travel in their encoded form. */
  readonly encodesMessages: boolean;
  readonly diskMicrosMin: number;
  readonly diskMicrosSpread: number;
  readonly applyMicrosSpread: number;
  /** Asynchronous storage, bare mode: how long an answer of the storage may take to its node. */
  readonly answerMicrosSpread: number;
  /** How long a host collects input before it takes a Ready; 0: not at all. */
  readonly readyMicrosMax: number;
  /** Whether a crash may keep a part of a write, or lose a commit index that was not synced. */
  readonly tearsWrites: boolean;
  /** Probability that a leader has no snapshot at hand when it needs one. */
  readonly snapshotAbsence: number;
  /** Probability that a host hands out an old snapshot, which may not know its receiver. */
  readonly snapshotStaleness: number;
  /** Slowest and fastest time between ticks that the fault `clock` sets, 1: as it should be. */
  readonly clockRateMin: number;
  readonly clockRateMax: number;

  readonly clients: number;
  readonly keys: number;
  /** Mean time between two operations, and between two faults. */
  readonly operationMicros: number;
  readonly faultMicros: number;
  readonly faults: FaultWeights;
  /** Whether messages are held against what is durable, invariant 6. */
  readonly checksDurability: boolean;
}

const NO_LIMIT = Number.MAX_SAFE_INTEGER;

function drawLimits(
  prng: Prng,
): Pick<
  SimParameters,
  | 'maxSizePerMsg'
  | 'maxCommittedSizePerReady'
  | 'maxUncommittedEntriesSize'
  | 'maxInflightMsgs'
  | 'maxInflightBytes'
> {
  const maxSizePerMsg = prng.pick([NO_LIMIT, NO_LIMIT, 0, 64, 256]);
  return {
    maxSizePerMsg,
    maxCommittedSizePerReady: prng.pick([NO_LIMIT, NO_LIMIT, 1, 100, 1000]),
    maxUncommittedEntriesSize: prng.pick([NO_LIMIT, NO_LIMIT, 100, 1000]),
    maxInflightMsgs: prng.pick([1, 2, 4, 16, 256]),
    maxInflightBytes: Math.max(maxSizePerMsg, prng.pick([NO_LIMIT, NO_LIMIT, 128, 512])),
  };
}

function drawNetwork(
  prng: Prng,
): Pick<
  SimParameters,
  | 'delayMicrosMin'
  | 'delayMicrosSpread'
  | 'loss'
  | 'duplication'
  | 'lateness'
  | 'latenessMicrosMax'
  | 'messageMicros'
  | 'backlogMicrosMax'
  | 'lossReports'
  | 'encodesMessages'
> {
  return {
    delayMicrosMin: prng.pick([50, 200, 1000]),
    delayMicrosSpread: prng.pick([100, 1000, 5000]),
    loss: prng.pick([0, 0, 0.005, 0.02, 0.1]),
    duplication: prng.pick([0, 0, 0.01, 0.1]),
    lateness: prng.pick([0, 0.01, 0.1]),
    latenessMicrosMax: prng.pick([5000, 50_000, 300_000]),
    lossReports: prng.pick([0, 0.1, 1]),
    encodesMessages: prng.chance(0.1),
    messageMicros: prng.pick([0, 0, 0, 100, 1000]),
    backlogMicrosMax: prng.pick([3000, 30_000]),
  };
}

function drawFaults(prng: Prng): FaultWeights {
  const weights = {} as { -readonly [K in FaultClass]: number };
  for (const fault of FAULT_CLASSES) {
    // Leaving kinds out makes room for the others: some mistakes only show without crashes.
    weights[fault] = prng.chance(0.6) ? prng.between(1, 5) : 0;
  }
  return weights;
}

/**
 * Draws the parameters of a run, each run different ("swarm testing").
 *
 * @param seed of the run
 * @param overrides values that are not drawn; the others stay as they would be
 * @source Groce et al., "Swarm Testing"
 */
export function drawParameters(
  seed: number,
  overrides: Partial<SimParameters> = {},
): SimParameters {
  const prng = new Prng(seed).split('parameters');
  const drawn: SimParameters = {
    voters: prng.pick([1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 7]),
    learners: prng.pick([0, 0, 0, 1, 2]),
    membersMax: prng.between(7, 12),
    eventsMax: 10_000,
    electionTick: prng.between(4, 10),
    heartbeatTick: prng.between(1, 2),
    ...drawLimits(prng.split('limits')),
    asyncStorageWrites: prng.chance(0.75),
    checkQuorum: prng.chance(0.6),
    preVote: prng.chance(0.5),
    stepDownOnRemoval: prng.chance(0.5),
    disableProposalForwarding: prng.chance(0.3),
    deferVoteRequests: true,
    leaseReads: false,
    trustsLeases: false,
    tickMicros: 10_000,
    ...drawNetwork(prng.split('network')),
    appendLoss: 0,
    clipping: prng.split('clipping').pick([0, 0, 0.02, 0.3]),
    diskMicrosMin: prng.pick([10, 200, 1000]),
    diskMicrosSpread: prng.pick([100, 2000, 20_000]),
    applyMicrosSpread: prng.pick([1, 500, 5000]),
    answerMicrosSpread: prng.split('answers').pick([0, 0, 500, 10_000]),
    readyMicrosMax: prng.pick([0, 0, 200, 3000]),
    tearsWrites: true,
    snapshotAbsence: prng.pick([0, 0.2]),
    snapshotStaleness: prng.split('snapshots').pick([0, 0.5]),
    clockRateMin: 0.5,
    clockRateMax: 2,
    clients: prng.between(1, 6),
    keys: prng.between(1, 4),
    operationMicros: prng.pick([300, 1000, 3000, 10_000]),
    faultMicros: prng.pick([5000, 20_000, 60_000, 200_000]),
    faults: drawFaults(prng.split('faults')),
    checksDurability: true,
    ...drawProfile(prng.split('profile')),
    ...overrides,
  };
  // A lease is what CheckQuorum gives.
  return drawn.checkQuorum ? drawn : { ...drawn, leaseReads: false, trustsLeases: false };
}
