import type { FaultWeights, SimParameters } from './parameters.js';
import type { Prng } from './prng.js';

const NO_FAULTS: FaultWeights = {
  crash: 0,
  crashAtWrite: 0,
  pause: 0,
  partition: 0,
  clog: 0,
  clock: 0,
  slowDisk: 0,
  membership: 0,
  transfer: 0,
  campaign: 0,
  forgetLeader: 0,
  compaction: 0,
  malformed: 0,
};

/**
 * Values that belong together, for some of the runs: situations that need several coincidences and
 * hardly come up when every value is drawn by itself.
 *
 * @param prng a stream of its own
 */
export function drawProfile(prng: Prng): Partial<SimParameters> {
  const draw = prng.below(100);
  if (draw < 12) return storm(prng);
  if (draw < 20) return stragglers(prng);
  if (draw < 24) return leases(prng);
  if (draw < 28) return trustedLeases(prng);
  return {};
}

/**
 * Leaders change faster than a disk writes: logs differ, tails are replaced while they are being
 * written, and come back. A disk that stands still does so for dozens of leaders.
 */
function storm(prng: Prng): Partial<SimParameters> {
  return {
    voters: 5,
    learners: 0,
    electionTick: 20,
    asyncStorageWrites: true,
    checkQuorum: false,
    preVote: false,
    maxSizePerMsg: prng.pick([0, Number.MAX_SAFE_INTEGER]),
    maxInflightBytes: Number.MAX_SAFE_INTEGER,
    delayMicrosMin: 50,
    delayMicrosSpread: 100,
    loss: 0,
    appendLoss: prng.pick([0.4, 0.6]),
    duplication: 0,
    lateness: 0,
    messageMicros: 0,
    lossReports: 0,
    clipping: prng.pick([0, 0.3]),
    diskMicrosMin: prng.pick([10, 1000]),
    diskMicrosSpread: prng.pick([100, 4000]),
    applyMicrosSpread: 1,
    answerMicrosSpread: prng.pick([10_000, 100_000]),
    readyMicrosMax: 0,
    operationMicros: prng.pick([3000, 10_000]),
    faultMicros: prng.pick([2000, 8000]),
    faults: { ...NO_FAULTS, slowDisk: prng.pick([0, 1]), campaign: 40 },
  };
}

/**
 * Messages arrive when their time is over: in other terms, in other roles, after a snapshot was needed.
 */
function stragglers(prng: Prng): Partial<SimParameters> {
  return {
    voters: prng.pick([3, 5]),
    learners: prng.pick([0, 1, 2]),
    electionTick: 4,
    checkQuorum: prng.chance(0.3),
    preVote: prng.chance(0.7),
    maxSizePerMsg: 64,
    maxInflightBytes: Number.MAX_SAFE_INTEGER,
    delayMicrosMin: 50,
    delayMicrosSpread: 1000,
    loss: 0.02,
    duplication: 0.1,
    lateness: prng.pick([0.1, 0.4]),
    latenessMicrosMax: prng.pick([30_000, 100_000]),
    messageMicros: 0,
    diskMicrosMin: 10,
    diskMicrosSpread: prng.pick([100, 5000]),
    snapshotAbsence: 0,
    snapshotStaleness: 0,
    operationMicros: 1000,
    faultMicros: 5000,
    faults: {
      ...NO_FAULTS,
      campaign: 6,
      compaction: 8,
      crash: 1,
      membership: prng.pick([0, 3]),
      partition: 3,
      pause: 1,
      slowDisk: 1,
      transfer: 3,
    },
  };
}

/**
 * Reads on a lease, with what a lease does not cover: cut-off leaders, transfers, restarts, clocks that
 * differ. They may be old, by no more than `LeaseBound` says. Nobody stands still, which has no bound.
 */
function leases(prng: Prng): Partial<SimParameters> {
  return {
    leaseReads: true,
    checkQuorum: true,
    voters: prng.pick([1, 3, 5]),
    operationMicros: prng.pick([300, 1000]),
    faults: {
      ...NO_FAULTS,
      campaign: 2,
      clock: 2,
      compaction: 1,
      crash: 2,
      crashAtWrite: 1,
      forgetLeader: 2,
      membership: prng.pick([0, 2]),
      partition: 4,
      slowDisk: 1,
      transfer: 1,
    },
  };
}

/**
 * Reads on a lease as it is meant: everybody is heard of in time, nobody hands over or starts again,
 * and clocks differ by no more than a tenth. No read is old.
 */
function trustedLeases(prng: Prng): Partial<SimParameters> {
  return {
    leaseReads: true,
    trustsLeases: true,
    checkQuorum: true,
    voters: prng.pick([3, 3, 5]),
    electionTick: prng.between(6, 10),
    heartbeatTick: 1,
    delayMicrosMin: 50,
    delayMicrosSpread: 5000,
    loss: 0,
    lateness: 0,
    messageMicros: 0,
    diskMicrosMin: 10,
    diskMicrosSpread: 2000,
    answerMicrosSpread: prng.pick([0, 500]),
    readyMicrosMax: prng.pick([0, 200]),
    clockRateMin: 0.95,
    clockRateMax: 1.05,
    operationMicros: 300,
    faultMicros: 5000,
    faults: { ...NO_FAULTS, campaign: 5, clock: 2, compaction: 1, forgetLeader: 10 },
  };
}
