import { beforeEach, expect, test } from '@jest/globals';
import type { Channel, OpenChannelOptions } from '@conclave/transport';
import { ReplaceableIdentity } from '@conclave/transport';
import { Peers } from '../../src/peers.js';
import { CLUSTER_ID, FoundedCluster, FOUNDER_ID, settle } from '../founded-cluster.js';

interface OpenedChannel extends Pick<Channel, 'address'> {
  readonly nodeId: string | undefined;
  isClosed: boolean;
}

const IDENTITY = { certificatesDer: [], privateKeyPem: new Uint8Array(0), rootsDer: [] };
const KNOWN = { nodeId: 'known', raftId: 5, address: '10.0.0.5:7420' };

let cluster: FoundedCluster;
let identity: ReplaceableIdentity;
let opened: OpenedChannel[];
let peers: Peers;

beforeEach(async () => {
  cluster = await FoundedCluster.create();
  identity = new ReplaceableIdentity(IDENTITY);
  opened = [];
  peers = new Peers({
    clusterId: CLUSTER_ID,
    selfNodeId: 'self',
    identity,
    state: () => cluster.state,
    known: [KNOWN],
    clock: cluster.time,
    timers: cluster.time,
    open: ({ address, expect: { nodeId } }: OpenChannelOptions) => {
      const channel: OpenedChannel = { address, nodeId, isClosed: false };
      opened.push(channel);
      const close = (): void => {
        channel.isClosed = true;
      };
      return { ...channel, close } as unknown as Channel;
    },
  });
});

test('those of the join answer are found until there is state', () => {
  expect(peers.list()).toEqual([KNOWN]);
  expect(peers.byRaftId(5)?.address).toBe('10.0.0.5:7420');
  cluster.apply(cluster.founding.body);
  expect(peers.list().map(({ nodeId }) => nodeId)).toEqual([FOUNDER_ID]);
  expect(peers.byNodeId('known')).toBeUndefined();
  expect(peers.byRaftId(99)).toBeUndefined();
});

test('each has one channel, a new one when its address changes', () => {
  cluster.apply(cluster.founding.body);
  expect(peers.byNodeId(FOUNDER_ID)).toBe(peers.byRaftId(1));
  cluster.apply({
    kind: 'node.addresses',
    id: FOUNDER_ID,
    clusterAddress: '10.0.0.1:7420',
    joinAddress: '10.0.0.1:7421',
  });
  expect(peers.byRaftId(1)?.address).toBe('10.0.0.1:7420');
  expect(opened.map(({ isClosed }) => isClosed)).toEqual([true, false]);
});

test('a renewed certificate is used at once; calls under way get a minute', async () => {
  const before = peers.byRaftId(5);
  identity.replace(IDENTITY);
  expect(peers.byRaftId(5)).not.toBe(before);
  await cluster.time.advance(59_999, settle);
  expect(opened.map(({ isClosed }) => isClosed)).toEqual([false, false]);
  await cluster.time.advance(1, settle);
  expect(opened.map(({ isClosed }) => isClosed)).toEqual([true, false]);
});

test('those that were removed lose their channel', () => {
  peers.byRaftId(5);
  peers.keepOnly(new Set(['known']));
  expect(opened[0]?.isClosed).toBe(false);
  peers.keepOnly(new Set());
  expect(opened[0]?.isClosed).toBe(true);
});

test('closing ends every channel, those of before a renewal too', () => {
  peers.byRaftId(5);
  identity.replace(IDENTITY);
  peers.byRaftId(5);
  peers.close();
  expect(opened.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  identity.replace(IDENTITY);
});
