import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ConclaveError, SILENT_LOGGER } from '@conclave/kernel';
import type { ErrorCode } from '@conclave/kernel';
import type { Channel } from '@conclave/transport';
import { message } from 'raft-ts';
import type { NetworkMessage } from 'raft-ts';
import { RaftLinks } from '../../src/consensus/raft-links.js';
import { settle } from '../founded-cluster.js';
import { seededRandom } from '../scheduling/cluster.js';
import { SimulatedTime } from '../simulated-time.js';

let links: RaftLinks;
/** How each member refuses messages; absent: it takes them. */
let refusals: Map<number, ErrorCode>;

/** A channel to a member whose streams fail in its way at once, or stay open. */
function channelTo(raftId: number): Channel {
  const refusal = refusals.get(raftId);
  const failure =
    refusal === undefined
      ? new Promise<never>(() => undefined)
      : Promise.reject(new ConclaveError(refusal, 'refused'));
  failure.catch(() => undefined);
  const responses = { [Symbol.asyncIterator]: () => ({ next: () => failure }) };
  const requests = { write: () => (refusal === undefined ? Promise.resolve() : failure) };
  return { bidi: () => ({ requests, responses, cancel: () => undefined }) } as unknown as Channel;
}

beforeEach(() => {
  refusals = new Map();
  const channels = new Map<number, Channel>();
  links = new RaftLinks({
    channelOf: (raftId) => {
      const channel = channels.get(raftId) ?? channelTo(raftId);
      channels.set(raftId, channel);
      return channel;
    },
    head: () => ({ clusterId: 'c', protocol: 1, clusterEpoch: 0, marks: [] }),
    learn: () => undefined,
    openSnapshot: () => {
      throw new Error('no snapshot is sent here');
    },
    onUnreachable: () => undefined,
    onSnapshotSent: () => undefined,
    timers: new SimulatedTime(),
    random: seededRandom(1),
    logger: SILENT_LOGGER,
  });
});
afterEach(() => links.close());

async function askForVotes(...members: number[]): Promise<void> {
  links.send(
    members.map((to) => message('MsgPreVote', { from: 1, to, term: 2 }) as NetworkMessage),
  );
  await settle();
}

describe('this member is known to be out of the cluster', () => {
  test('when every other says so', async () => {
    refusals.set(2, 'CV_NODE_REMOVED').set(3, 'CV_NODE_REMOVED');
    await askForVotes(2, 3);
    expect(links.isRefused).toBe(true);
  });

  test('also while one of them is down', async () => {
    refusals.set(2, 'CV_NODE_REMOVED').set(3, 'CV_PEER_UNREACHABLE');
    await askForVotes(2, 3);
    expect(links.isRefused).toBe(true);
  });

  test('not when one still takes its messages', async () => {
    refusals.set(2, 'CV_NODE_REMOVED');
    await askForVotes(2, 3);
    expect(links.isRefused).toBe(false);
  });

  test('not when nobody answers, or nobody was asked', async () => {
    expect(links.isRefused).toBe(false);
    refusals.set(2, 'CV_PEER_UNREACHABLE').set(3, 'CV_PEER_UNREACHABLE');
    await askForVotes(2, 3);
    expect(links.isRefused).toBe(false);
  });
});
