import type { SimParameters } from '../parameters.js';
import { drawParameters } from '../parameters.js';
import { Prng } from '../prng.js';

/** What a run in full mode is made of: also the limits of the driver. */
export interface FullParameters extends SimParameters {
  readonly messageSizeMax: number;
  readonly applyingSizeMax: number;
  readonly uncommittedSizeMax: number;
  readonly inflightSizeMax: number;
  /** Payload bytes of one log write. */
  readonly writeSizeMax: number;
  readonly appendQueueLengthMax: number;
  /** Applied entries between two snapshots, and entries kept before one. */
  readonly snapshotEntries: number;
  readonly keepEntries: number;
  /** Probability that a member dies during a piece of work of its start. */
  readonly startCrashes: number;
}

/** What the driver decides by itself. */
const OF_THE_DRIVER = {
  asyncStorageWrites: true,
  checkQuorum: true,
  preVote: true,
  stepDownOnRemoval: true,
  disableProposalForwarding: true,
  deferVoteRequests: true,
  leaseReads: false,
  trustsLeases: false,
  answerMicrosSpread: 0,
  snapshotAbsence: 0,
  snapshotStaleness: 0,
} as const;

const MIB = 2 ** 20;

/**
 * Draws the parameters of a run in full mode.
 *
 * @param seed of the run
 * @param overrides values that are not drawn; the others stay as they would be
 */
export function drawFullParameters(
  seed: number,
  overrides: Partial<FullParameters> = {},
): FullParameters {
  const base = drawParameters(seed);
  const prng = new Prng(seed).split('full parameters');
  const messageSizeMax = prng.pick([MIB, MIB, 1, 64, 256]);
  return {
    ...base,
    ...OF_THE_DRIVER,
    faults: {
      ...base.faults,
      forgetLeader: 0,
      compaction: 0,
      failDisk: prng.chance(0.4) ? prng.between(1, 3) : 0,
      fillDisk: prng.chance(0.3) ? 1 : 0,
      loseDisk: prng.chance(0.3) ? 1 : 0,
    },
    messageSizeMax,
    applyingSizeMax: prng.pick([MIB, MIB, 1, 1000]),
    uncommittedSizeMax: prng.pick([16 * MIB, 16 * MIB, 200, 2000]),
    inflightSizeMax: Math.max(messageSizeMax, prng.pick([4 * MIB, 4 * MIB, 128, 512])),
    writeSizeMax: prng.pick([4 * MIB, 4 * MIB, 1, 1000]),
    appendQueueLengthMax: prng.pick([4096, 4096, 16]),
    snapshotEntries: prng.pick([5, 20, 100, 10_000]),
    keepEntries: prng.pick([0, 3, 50]),
    startCrashes: prng.pick([0, 0.02, 0.1]),
    ...overrides,
  };
}
