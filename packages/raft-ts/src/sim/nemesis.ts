import { LEAVE_JOINT } from '../codec/conf-change.js';
import { describeConfChange } from '../describe-config.js';
import { describeMessage } from '../describe.js';
import type { Message } from '../message-types.js';
import type { NodeId } from '../numbers.js';
import type { ConfChange, ConfChangeSingle } from '../types.js';
import { EVENT } from './events.js';
import { SimFailure } from './failure.js';
import { malformedMessage } from './malformed.js';
import { CRASH_POINT } from './member.js';
import { IDS_MAX } from './network.js';
import { mayLoseDisk, removalOfLost } from './lost-disks.js';
import type { DiskFault, SimParameters } from './parameters.js';
import { FAULT_CLASSES } from './parameters.js';
import type { PlanAction } from './plan.js';
import type { Micros } from './scheduler.js';
import type { Subject } from './subject.js';
import type { World } from './world.js';

/** What a nemesis needs beside the world. */
export interface NemesisPowers {
  /** Creates a member with an empty disk. @returns undefined if there are enough */
  create(): Subject | undefined;
}

/** Carries out faults, from the raw numbers of a plan and the state at the time. */
export class Nemesis {
  readonly #world: World;
  readonly #powers: NemesisPowers;
  #partition = 0;

  /**
   * @param world where the faults happen
   * @param powers what it may do beside
   */
  constructor(world: World, powers: NemesisPowers) {
    this.#world = world;
    this.#powers = powers;
  }

  /** Carries out one fault; nothing if it makes no sense now. */
  act(action: PlanAction): void {
    const running = this.#world.members.filter((m): m is Subject => m?.isUp === true);
    const member = running[action.x % running.length];
    if (action.kind === 'partition') this.#cut(action);
    else if (action.kind === 'membership') this.#changeMembers(action);
    else if (action.kind === 'clog') this.#clog(action);
    else if (member !== undefined) this.#harm(member, action, running);
  }

  #harm(member: Subject, action: PlanAction, running: readonly Subject[]): void {
    const { scheduler, parameters, coverage } = this.#world;
    const { kind, y, z } = action;
    switch (kind) {
      case 'crash': {
        const victims = z % 16 === 0 ? running : [member];
        coverage.count(victims.length > 1 ? 'crash of all' : kind);
        const downMicros = this.#duration(y);
        const ids = victims.map(({ id }) => id).join(', ');
        this.#world.explain(() => `crash ${ids} for ${inMs(downMicros)}`);
        for (const victim of victims) {
          victim.downMicros = downMicros;
          victim.crash();
        }
        return;
      }
      case 'crashAtWrite':
        member.crashPoint = z % 2 === 0 ? CRASH_POINT.beforeWrite : CRASH_POINT.beforeResponses;
        member.downMicros = this.#duration(y);
        this.#explain(member, 'dies at its next write, and is away for', this.#duration(y));
        break;
      case 'pause':
        member.pausedUntil = scheduler.now + this.#duration(y);
        this.#explain(member, 'stands still for', this.#duration(y));
        break;
      case 'clock':
        member.tickMicros = drawnTick(parameters, y);
        this.#explain(member, 'has a clock that ticks every', member.tickMicros);
        break;
      case 'slowDisk':
        member.stalledUntil = scheduler.now + this.#duration(y);
        this.#explain(member, 'has a disk that stands still for', this.#duration(y));
        break;
      case 'malformed': {
        if (member.pausedUntil > scheduler.now) return;
        const from = (running[z % running.length] ?? member).id;
        const message = malformedMessage(member.core, from, y);
        this.#world.explain(() => `not as members speak: ${describeMessage(message)}`);
        this.#world.checker.delivered(member, message);
        if (member.receive(message)) notRefused(member, message);
        break;
      }
      case 'compaction':
        if (!member.compact(y, z)) return;
        this.#explain(member, 'compacts its log');
        break;
      case 'failDisk':
      case 'fillDisk':
      case 'loseDisk':
        if (!this.#harmDisk(member, kind, y)) return;
        break;
      default:
        if (!this.#ask(member, action)) return;
    }
    coverage.count(kind);
  }

  #harmDisk(member: Subject, kind: DiskFault, y: number): boolean {
    if (kind === 'loseDisk' && !mayLoseDisk(this.#world, member)) return false;
    this.#explain(member, `has the fault ${kind} of its disk, if it lasts for`, this.#duration(y));
    return member.harmDisk(kind, this.#world.scheduler.now + this.#duration(y));
  }

  #ask(member: Subject, { kind, y, z }: PlanAction): boolean {
    if (member.pausedUntil > this.#world.scheduler.now) return false;
    switch (kind) {
      case 'campaign':
        this.#explain(member, 'campaigns');
        member.call((node) => node.campaign());
        return true;
      case 'forgetLeader':
        this.#explain(member, 'forgets its leader');
        member.call((node) => node.forgetLeader());
        return true;
      case 'transfer': {
        const { ids } = member.core.tracker;
        const target = ids[y % ids.length];
        const asked = z % 2 === 0 ? (leaderOf(this.#world) ?? member) : member;
        if (target === undefined) return false;
        this.#explain(asked, `is asked to hand over to ${target}`);
        asked.call((node) => node.transferLeader(target));
        return true;
      }
      default:
        return false;
    }
  }

  #explain({ id }: Subject, what: string, duration?: Micros): void {
    const text = `member ${id} ${what}`;
    this.#world.explain(() => (duration === undefined ? text : `${text} ${inMs(duration)}`));
  }

  /** From shorter than a delivery to several election timeouts. */
  #duration(raw: number): Micros {
    const { electionTick, tickMicros } = this.#world.parameters;
    const longest = 4 * electionTick * tickMicros;
    return Math.floor(longest / 2 ** (raw % 10)) + 1;
  }

  #cut({ x, y, z }: PlanAction): void {
    const { network, scheduler, coverage, members } = this.#world;
    const shape = PARTITIONS[y % PARTITIONS.length] as (typeof PARTITIONS)[number];
    coverage.count(`partition ${shape}`);
    const isCut = cutOf(shape, x, members);
    network.partition(isCut);
    const count = members.length;
    this.#world.explain(() => {
      const paths = cutPaths(isCut, count).join(' ');
      return `partition ${shape} for ${inMs(this.#duration(z))}: ${paths}`;
    });
    const event = scheduler.after(this.#duration(z), EVENT.heal, 0);
    event.a = ++this.#partition;
  }

  /** The time of a partition is over; a later one may have replaced it. */
  heal(partition: number): void {
    if (partition === this.#partition) this.#world.network.partition(() => false);
  }

  #clog({ x, y, z }: PlanAction): void {
    const { network, scheduler, coverage, members } = this.#world;
    const count = members.length;
    const duration = this.#duration(z);
    network.clog(x % count, y % count, scheduler.now + duration);
    this.#world.explain(() => `hold back ${x % count}->${y % count} for ${inMs(duration)}`);
    coverage.count('clog');
  }

  #changeMembers(action: PlanAction): void {
    const leader = leaderOf(this.#world);
    if (leader === undefined || leader.pausedUntil > this.#world.scheduler.now) return;
    const change = this.#changeFor(leader, action);
    if (change === undefined) return;
    // Whoever takes over may be gone, or a learner, before the transfer ends.
    const target = action.z % 8 === 1 ? targetOf(change) : undefined;
    this.#world.explain(() => {
      const rest = target === undefined ? '' : ` and hands over to ${target}`;
      return `member ${leader.id} proposes ${describeConfChange(change)}${rest}`;
    });
    leader.call((node) => node.proposeConfChange(change));
    if (!leader.isUp || leader.core.role !== 'StateLeader') return;
    // Two in a row: the second one must become an empty entry.
    if (action.z % 8 === 0) leader.call((node) => node.proposeConfChange(change));
    if (target !== undefined) leader.call((node) => node.transferLeader(target));
  }

  #changeFor(leader: Subject, { x, y, z }: PlanAction): ConfChange | undefined {
    const { tracker } = leader.core;
    const { coverage } = this.#world;
    const removal = removalOfLost(this.#world, leader);
    if (removal !== undefined) return removal;
    // In a simple configuration there is nothing to leave, and the change must become empty.
    if (tracker.isJoint ? x % 4 !== 0 : x % 32 === 7) {
      coverage.count('leave joint');
      return LEAVE_JOINT;
    }
    const count = x % 3 === 0 ? 1 + (y % 3) : 1;
    const voters = new Set(tracker.config.voters[0]);
    const changes: ConfChangeSingle[] = [];
    for (let i = 0; i < count; i++) {
      const single = this.#singleFor(leader, (y >>> (4 * i)) ^ (z >>> i));
      if (single === undefined) continue;
      // A change that leaves no voter could not be applied; the host has to take care of that.
      const isVoter = single.type === 'ConfChangeAddNode';
      if (isVoter) voters.add(single.nodeId);
      else if (voters.size === 1 && voters.has(single.nodeId)) continue;
      else voters.delete(single.nodeId);
      coverage.count(single.type);
      changes.push(single);
    }
    const [first] = changes;
    if (first === undefined) return undefined;
    if (changes.length === 1 && z % 3 === 0) return { version: 1, change: first };
    const transition = (['auto', 'jointImplicit', 'jointExplicit'] as const)[z % 3] ?? 'auto';
    return { version: 2, transition, changes };
  }

  #singleFor(leader: Subject, raw: number): ConfChangeSingle | undefined {
    const { ids } = leader.core.tracker;
    const known = ids[(raw >>> 4) % ids.length] as NodeId;
    switch (raw % 6) {
      case 0:
      case 1: {
        const created = this.#powers.create();
        if (created === undefined) return undefined;
        const type = raw % 2 === 0 ? 'ConfChangeAddLearnerNode' : 'ConfChangeAddNode';
        return { type, nodeId: created.id };
      }
      case 2:
        return { type: 'ConfChangeAddNode', nodeId: known };
      case 3:
        return { type: 'ConfChangeAddLearnerNode', nodeId: known };
      case 4:
        return { type: 'ConfChangeRemoveNode', nodeId: known };
      default:
        return { type: 'ConfChangeRemoveNode', nodeId: leader.id };
    }
  }
}

/** Whom a change is about, at first. */
function targetOf(change: ConfChange): NodeId | undefined {
  return change.version === 1 ? change.change.nodeId : change.changes[0]?.nodeId;
}

/** A time between two ticks that is off by up to what the parameters allow. */
function drawnTick({ tickMicros, clockRateMin, clockRateMax }: SimParameters, raw: number): Micros {
  const steps = Math.round((clockRateMax - clockRateMin) * 1000) + 1;
  return Math.floor(tickMicros * (clockRateMin + (raw % steps) / 1000));
}

function notRefused({ id }: Subject, { type, from }: Message): never {
  throw new SimFailure(
    '0 refused messages',
    `${id} takes a ${type} of ${from} that no member sends`,
  );
}

function inMs(duration: Micros): string {
  return `${(duration / 1000).toFixed(3)} ms`;
}

/** The cut paths in words. */
function cutPaths(isCut: (from: NodeId, to: NodeId) => boolean, count: number): string[] {
  const paths: string[] = [];
  for (let from = 1; from < count; from++) {
    for (let to = 1; to < count; to++) {
      if (from !== to && isCut(from, to)) paths.push(`${from}->${to}`);
    }
  }
  return paths;
}

const PARTITIONS = ['by coin', 'by size', 'single', 'one-way', 'bridge'] as const;

/** Which paths are cut. `raw` decides who is on which side. */
function cutOf(
  shape: (typeof PARTITIONS)[number],
  raw: number,
  members: readonly unknown[],
): (from: NodeId, to: NodeId) => boolean {
  const count = Math.max(1, members.length - 1);
  const chosen = 1 + (raw % count);
  switch (shape) {
    case 'by coin': {
      const side = (id: NodeId): number => (raw >>> (id % IDS_MAX)) & 1;
      return (from, to) => side(from) !== side(to);
    }
    case 'by size':
      return (from, to) => from <= chosen !== to <= chosen;
    case 'single':
      return (from, to) => (from === chosen) !== (to === chosen);
    case 'one-way':
      return (from, to) => ((raw >>> 8) % 2 === 0 ? from : to) === chosen;
    case 'bridge': {
      const half = (id: NodeId): number => (raw >>> (id % IDS_MAX)) & 1;
      return (from, to) => from !== chosen && to !== chosen && half(from) !== half(to);
    }
  }
}

/** Names under which kinds of faults are counted in bare mode. */
export function faultNames(): readonly string[] {
  const classes = FAULT_CLASSES.filter((name) => name !== 'partition' && name !== 'membership');
  const shapes = PARTITIONS.map((shape) => `partition ${shape}`);
  const changes = ['ConfChangeAddNode', 'ConfChangeAddLearnerNode', 'ConfChangeRemoveNode'];
  const ofNetwork = ['cut', 'loss', 'duplication', 'lateness', 'overflow', 'clipping'];
  return [...classes, 'crash of all', ...shapes, ...changes, 'leave joint', ...ofNetwork];
}

/** The running leader of the highest term. */
export function leaderOf({ members }: World): Subject | undefined {
  let leader: Subject | undefined;
  for (const member of members) {
    if (member?.isUp !== true || member.core.role !== 'StateLeader') continue;
    if (leader === undefined || member.core.term > leader.core.term) leader = member;
  }
  return leader;
}
