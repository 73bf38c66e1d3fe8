// Deliberate mistakes: each is a small exact replacement in packages/raft-ts/src. `safety` ones can
// lose or contradict something that was promised; the others cost time, progress or memory.
import { preVotes, votes } from './mutations/elections.mjs';
import { configuration, readsAndTransfers } from './mutations/leadership.mjs';
import { appends, durability } from './mutations/log.mjs';
import { limits, snapshotsAndFlow } from './mutations/replication.mjs';

/** All mistakes, in the order of the table. */
export const mutations = [
  ...votes,
  ...appends,
  ...durability,
  ...preVotes,
  ...readsAndTransfers,
  ...configuration,
  ...snapshotsAndFlow,
  ...limits,
];
