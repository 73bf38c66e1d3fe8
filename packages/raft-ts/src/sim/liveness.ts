import { LEAVE_JOINT } from '../codec/conf-change.js';
import { removalOfLost } from './lost-disks.js';
import { leaderOf } from './nemesis.js';
import { SimFailure } from './failure.js';
import type { Subject } from './subject.js';
import type { World } from './world.js';
import type { Workload } from './workload.js';

/** Election timeouts in a row without a leader; one attempt to elect takes up to two of them. */
const LEADERLESS_ROUNDS_MAX = 10;
/** Election timeouts in a row with a leader, in which nobody applies anything. */
const IDLE_ROUNDS_MAX = 20;
/** Election timeouts without a leader after which removed members are silenced, and for how long. */
const SILENCE_AT = 5;
const SILENCE_ROUNDS = 45;
/** Election timeouts until everything has come to rest. */
const ROUNDS_MAX = 1000;

/**
 * Invariant 12, after all faults have ended: somebody leads, requests are answered, joint
 * configurations are left, and all members have applied the same.
 */
export class Liveness {
  readonly #world: World;
  readonly #workload: Workload;
  #rounds = 0;
  #idleRounds = 0;
  #leaderlessRounds = 0;
  #hasSilenced = false;
  #applied = 0;
  #hasAsked = false;

  /**
   * @param world where it happens
   * @param workload the clients, whose last requests must be answered
   */
  constructor(world: World, workload: Workload) {
    this.#world = world;
    this.#workload = workload;
  }

  /** Looks once per election timeout. @returns whether everything is at rest */
  look(): boolean {
    this.#rounds++;
    const applied = this.#world.members.reduce((sum, member) => sum + (member?.applied ?? 0), 0);
    this.#idleRounds = applied > this.#applied ? 0 : this.#idleRounds + 1;
    this.#applied = Math.max(applied, this.#applied);
    const leader = leaderOf(this.#world);
    const problem = this.#problem(leader);
    if (problem === undefined) return true;
    this.#leaderlessRounds = leader === undefined ? this.#leaderlessRounds + 1 : 0;
    if (this.#leaderlessRounds === SILENCE_AT) {
      if (this.#isHeldByRemoved()) {
        this.#world.coverage.count('stuck: a removed voter holds the vote that is needed');
        return true;
      }
      // The bound holds from here on: who is part of the cluster is left alone.
      if (this.#silenceRemoved()) this.#leaderlessRounds = 0;
    }
    const isLeaderless = this.#leaderlessRounds > LEADERLESS_ROUNDS_MAX;
    const isIdle = this.#idleRounds > IDLE_ROUNDS_MAX;
    if (isLeaderless || isIdle || this.#rounds > ROUNDS_MAX) {
      const text = `${problem}, ${this.#rounds} election timeouts after the last fault`;
      throw new SimFailure('12 liveness', text);
    }
    return false;
  }

  /**
   * Whether the one known dead end is reached, which hosts avoid by handing over before a leader is
   * removed: a member knows that it is removed, so that it does not campaign, and has a longer log
   * than all who may, so that it does not vote for them, but they do not know and need its vote.
   */
  #isHeldByRemoved(): boolean {
    const running = this.#world.members.filter((m): m is Subject => m?.isUp === true);
    const isVoter = ({ id, core }: Subject): boolean => core.tracker.isVoter(id);
    const able = running.filter(isVoter);
    return running.some(
      (removed) =>
        !isVoter(removed) &&
        able.some(({ core }) => core.tracker.isVoter(removed.id)) &&
        able.every(({ core }) => !removed.core.log.isUpToDate(core.log.lastId())),
    );
  }

  #problem(leader: Subject | undefined): string | undefined {
    if (leader === undefined) return 'nobody leads';
    this.#retireRemoved(leader);
    const { tracker, log } = leader.core;
    if (!tracker.isVoter(leader.id)) {
      // Without stepDownOnRemoval it stays, and refuses everything; the host has to hand over.
      const heir = tracker.voterIds[this.#rounds % tracker.voterIds.length];
      if (heir !== undefined) leader.call((node) => node.transferLeader(heir));
      return 'a removed leader leads';
    }
    if (tracker.isJoint) {
      const isDue = !tracker.config.autoLeave;
      if (isDue) leader.call((node) => node.proposeConfChange(LEAVE_JOINT));
      return 'a joint configuration is not left';
    }
    const removal = removalOfLost(this.#world, leader);
    if (removal !== undefined) {
      leader.call((node) => node.proposeConfChange(removal));
      return 'a member without a disk is not removed';
    }
    if (!this.#hasAsked) {
      this.#hasAsked = true;
      for (let x = 0; x < this.#world.parameters.clients; x++) {
        this.#workload.begin({ at: 0, kind: 'write', x, y: x, z: x });
      }
      return 'the last requests are under way';
    }
    if (this.#workload.openCount > 0) return `${this.#workload.openCount} requests are open`;
    const last = log.lastIndex();
    if (leader.applied !== last) return `leader ${leader.id} has applied ${leader.applied}`;
    for (const id of tracker.ids) {
      const applied = this.#world.members[id]?.applied ?? 0;
      if (applied !== last) return `${id} has applied ${applied} of ${last}`;
    }
    return undefined;
  }

  /**
   * Silences removed members for a while, as an operator would. Without pre-votes they raise the
   * terms of others as fast as a candidate raises its own, and etcd's rule is that requests of
   * earlier terms get no answer, so that the candidate may never catch up. Once, at most.
   *
   * @returns whether there was one
   */
  #silenceRemoved(): boolean {
    if (this.#hasSilenced) return false;
    const { members, parameters, coverage } = this.#world;
    const running = members.filter((m): m is Subject => m?.isUp === true);
    const latest = running.reduce((a, b) => (b.applied > a.applied ? b : a));
    for (const member of running) {
      if (latest.core.tracker.progress.has(member.id)) continue;
      coverage.count('removed member is silenced for a while');
      member.downMicros = SILENCE_ROUNDS * parameters.electionTick * parameters.tickMicros;
      member.crash();
      this.#hasSilenced = true;
    }
    return this.#hasSilenced;
  }

  /**
   * Shuts down members that are not part of the latest configuration, as soon as majorities know it:
   * they are not told, and could campaign for ever.
   */
  #retireRemoved({ core, applied, confState }: Subject): void {
    const { members } = this.#world;
    const { voters, votersOutgoing } = confState;
    // Who has not left the configuration before still needs a majority of that one as well.
    const knows = (id: number): boolean => {
      const known = members[id]?.confState;
      return known?.votersOutgoing.length === 0 && known.voters.join() === voters.join();
    };
    const isKnown = voters.filter(knows).length * 2 > voters.length;
    // A change on its way may be about somebody who is not part of it yet.
    if (!isKnown || votersOutgoing.length > 0 || core.pendingConfIndex > applied) return;
    for (const member of members) {
      if (member?.isUp !== true || core.tracker.progress.has(member.id)) continue;
      this.#world.coverage.count('removed member is shut down');
      member.isRetired = true;
      member.crash();
    }
  }
}
