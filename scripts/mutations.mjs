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

/** Why the simulator does not find some that concern safety. */
export const whyTestsAlone = {
  'async: append response without term':
    'needs an entry that is replaced and comes back while the answer to its first write is under way ' +
    'and its last write is not done. That takes three leaders, each without the entries of the one ' +
    'before, within the time of one answer; storms have not come to it in 600 seeds.',
  'forget leader: allowed with lease reads':
    'an old read needs the new leader to commit before the old one hears of it, which is the time of ' +
    'one message, and somebody who reads from the old one just then.',
};
