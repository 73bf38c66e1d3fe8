import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ConfChangeSingle, Message } from '../src/index.js';
import { ProposalDroppedError } from '../src/index.js';
import { bytes } from './support/bytes.js';
import { Cluster } from './support/cluster.js';
import type { Member } from './support/member.js';
import { randomOf } from './support/random.js';
import { Safety } from './support/safety.js';

const NODES = [1, 2, 3, 4, 5];
const STEPS = 2_500;
const IN_FLIGHT_MAX = 200;

interface World {
  readonly cluster: Cluster;
  readonly safety: Safety;
  readonly random: (n: number) => number;
  count: number;
  cut: readonly number[];
}

type Mode = Record<'asyncStorageWrites' | 'preVote' | 'checkQuorum', boolean>;

function worldOf(seed: number, mode: Mode): World {
  const safety = new Safety();
  const config = { ...mode, trace: safety.trace, maxInflightMsgs: 4, maxSizePerMsg: 40 };
  const cluster = new Cluster({ voters: [1, 2, 3], seed, config });
  cluster.addBlank(4);
  cluster.addBlank(5);
  for (const member of cluster.members.values()) {
    member.onApply = (entry) => safety.onApply(member.id, entry, JSON.stringify(member.confState));
  }
  return { cluster, safety, random: randomOf(seed), count: 0, cut: [] };
}

function memberOf({ cluster, random }: World): Member {
  return cluster.member(NODES[random(NODES.length)] as number);
}

function deliverOne(world: World): void {
  const { cluster, random } = world;
  const at = random(cluster.inFlight.length + 1);
  const message = cluster.inFlight[at];
  if (message === undefined) return;
  // Some stay, and arrive once more later.
  if (random(10) > 0) cluster.inFlight.splice(at, 1);
  const isCut = world.cut.includes(message.from) !== world.cut.includes(message.to);
  if (!isCut && random(20) > 0) cluster.deliver(message);
}

/** Answers of the local threads come in order and are never lost. */
function finish(world: World, released: readonly Message[], member: Member): void {
  for (const message of released) {
    if (message.to === member.id) world.cluster.deliver(message);
    else world.cluster.inFlight.push(message);
  }
}

function singleChange({ random }: World): ConfChangeSingle {
  const types = ['ConfChangeAddNode', 'ConfChangeRemoveNode', 'ConfChangeAddLearnerNode'] as const;
  const type = types[random(types.length)] as (typeof types)[number];
  return { type, nodeId: NODES[random(NODES.length)] as number };
}

function proposeChange(world: World, member: Member): void {
  const { random } = world;
  const list = Array.from({ length: random(4) }, () => singleChange(world));
  // Whoever would remove everybody is refused by a careful host.
  const changes = list.filter(({ type, nodeId }) => type === 'ConfChangeAddNode' || nodeId !== 1);
  const transition = random(2) === 0 ? 'auto' : 'jointImplicit';
  if (changes.length === 0 && transition !== 'auto') return;
  member.node.proposeConfChange({ version: 2, transition, changes });
}

function act(world: World): void {
  const { cluster, random } = world;
  const member = memberOf(world);
  const dice = random(1000);
  if (dice < 250) member.node.tick();
  else if (dice < 500) {
    if (member.node.hasReady()) finish(world, member.handleReady(), member);
  } else if (dice < 800) deliverOne(world);
  else if (dice < 880) finish(world, member.finishAppend(), member);
  else if (dice < 930) finish(world, member.finishApply(), member);
  else if (dice < 970) member.node.propose(bytes(`p${world.count++}`));
  else if (dice < 978) proposeChange(world, member);
  else if (dice < 983) member.restart();
  else if (dice < 986) member.compact();
  else if (dice < 989) member.node.transferLeader(NODES[random(5)] as number);
  else if (dice < 992) member.node.readIndex(bytes(`r${world.count++}`));
  else if (dice < 995) member.node.reportUnreachable(NODES[random(5)] as number);
  else if (dice < 997) member.node.reportSnapshot(NODES[random(5)] as number, 'failure');
  else if (dice < 998) member.node.forgetLeader();
  else world.cut = NODES.filter(() => random(3) === 0);
  if (cluster.inFlight.length > IN_FLIGHT_MAX) cluster.inFlight.splice(0, IN_FLIGHT_MAX / 2);
}

function run(seed: number, mode: Mode): World {
  const world = worldOf(seed, mode);
  for (let i = 0; i < STEPS; i++) {
    try {
      act(world);
    } catch (error) {
      if (!(error instanceof ProposalDroppedError)) throw error;
    }
  }
  return world;
}

/**
 * Members as those know them who have applied most. Others are stopped by their hosts, once most of
 * the voters know it too: until then a vote of theirs may be needed.
 */
function presentMembers({ cluster }: World): readonly number[] {
  const [first] = [...cluster.members.values()].toSorted((a, b) => b.appliedIndex - a.appliedIndex);
  const { voters, votersOutgoing, learners } = (first as Member).confState;
  const textOf = (id: number): string => JSON.stringify(cluster.member(id).confState);
  const informed = voters.filter((id) => textOf(id) === textOf((first as Member).id));
  const isKnown = informed.length * 2 > voters.length;
  return isKnown ? [...voters, ...votersOutgoing, ...learners] : NODES;
}

/** Without faults everything comes to an end: one leader, equal logs. */
function calm(world: World): void {
  const { cluster, random } = world;
  for (let i = 0; i < 400; i++) {
    const present = presentMembers(world);
    cluster.arrives = ({ from, to }) => present.includes(from) && present.includes(to);
    for (const member of cluster.members.values()) member.node.tick();
    cluster.settle();
    // Hosts report again what they do not know the end of.
    for (const id of NODES) if (random(4) === 0) cluster.node(id).reportSnapshot(id, 'failure');
    for (const leader of cluster.leaders()) {
      for (const id of NODES) cluster.node(leader).reportSnapshot(id, 'failure');
    }
  }
}

/**
 * Whether a learner is in a later term than whoever leads. As in etcd, without pre-votes and without
 * check-quorum it is silent about that, and will not hear the leader before the next election.
 */
function isDeaf({ cluster }: World, learner: number, mode: Mode): boolean {
  const termOf = (id: number): number => cluster.node(id).status().term;
  const latest = Math.max(...cluster.leaders().map(termOf));
  return !mode.preVote && !mode.checkQuorum && termOf(learner) > latest;
}

const modes: Mode[] = [
  { asyncStorageWrites: false, preVote: false, checkQuorum: false },
  { asyncStorageWrites: false, preVote: true, checkQuorum: true },
  { asyncStorageWrites: true, preVote: false, checkQuorum: false },
  { asyncStorageWrites: true, preVote: true, checkQuorum: true },
];

describe.each(modes)('with %j', (mode) => {
  test('loss, duplicates, reordering, crashes and changes of members break no promise', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31), (seed) => {
        const world = run(seed, mode);
        calm(world);
        const { cluster, safety } = world;
        expect(safety.seen.leaders).toBeGreaterThan(0);
        expect(safety.seen.applied).toBeGreaterThan(0);
        const leaders = cluster.leaders().map((id) => cluster.node(id).status());
        const current = leaders.toSorted((a, b) => b.term - a.term)[0];
        expect(current).toBeDefined();
        for (const [id, { match, isLearner }] of current?.progress ?? []) {
          if (isLearner && isDeaf(world, id, mode)) continue;
          expect([id, match]).toEqual([id, current?.commit]);
          expect(cluster.member(id).appliedIndex).toBe(current?.applied);
        }
      }),
      { numRuns: 30, examples: [[1_120_385_679], [1_404_937_644]] },
    );
  });
});
