import type { Message } from '../../message-types.js';
import type { Index } from '../../numbers.js';
import type { Ready } from '../../ready-types.js';
import type { Entry, Snapshot } from '../../types.js';
import type { DiskWrite } from '../disk.js';
import type { Subject } from '../subject.js';
import type { SimParameters } from '../parameters.js';
import type { Situations } from '../situations.js';
import { Applies } from './applies.js';
import { Durability } from './durability.js';
import { Elections } from './elections.js';
import { Leaders } from './leaders.js';
import { Logs } from './logs.js';

/** What a checker looks at. */
export interface CheckerParts {
  readonly parameters: SimParameters;
  readonly members: readonly (Subject | undefined)[];
  /** Index of the snapshot a cluster starts with. */
  readonly start: Index;
  /** Notes what is met; slow. */
  readonly situations: Situations | undefined;
}

/** Holds every event of every member against the invariants, as it happens. */
export class Checker {
  readonly logs: Logs;
  readonly #elections = new Elections();
  readonly #durability: Durability;
  readonly #applies: Applies;
  readonly #leaders: Leaders;
  readonly #situations: Situations | undefined;

  /** @param parts what it looks at */
  constructor({ parameters, members, start, situations }: CheckerParts) {
    this.logs = new Logs(start);
    this.#durability = new Durability(members, this.#elections, parameters.checksDurability);
    this.#applies = new Applies(this.logs);
    this.#leaders = new Leaders(members, parameters);
    this.#situations = situations;
  }

  /** A member has started. */
  started(member: Subject): void {
    const { core } = member;
    member.seenRole = core.role;
    member.seenTerm = core.term;
    member.seenCommit = core.log.committed;
    this.#durability.started(member);
    this.#applies.started(member);
    this.#situations?.started(member);
  }

  /** A message is about to be handled. */
  delivered(member: Subject, message: Message): void {
    this.#situations?.delivered(member, message);
  }

  /** A member has handled some input. */
  stepped(member: Subject): void {
    const { core } = member;
    this.#situations?.stepped(member);
    if (core.role !== member.seenRole || core.term !== member.seenTerm) {
      this.#leaders.roleChanged(member);
      this.#elections.roleChanged(member);
      member.seenRole = core.role;
      member.seenTerm = core.term;
      if (core.role === 'StateLeader') {
        this.#elections.elected(member);
        this.logs.elected(member);
      }
    }
    if (core.log.committed !== member.seenCommit) {
      const before = member.seenCommit;
      member.seenCommit = core.log.committed;
      this.#leaders.committed(member, before);
      this.logs.committed(member, before);
    }
    if (core.role === 'StateLeader') this.#leaders.stepped(member);
  }

  /** A member hands out work. */
  ready(member: Subject, ready: Ready): void {
    if (ready.entries.length > 0) {
      this.logs.appended(member, ready.entries);
      this.#leaders.appended(member, ready.entries);
    }
    this.#leaders.ready(member, ready);
    this.#situations?.ready(member, ready);
  }

  /** A message leaves a member. */
  sent(member: Subject, message: Message): void {
    this.#durability.sent(member, message);
    this.#situations?.sent(member, message);
  }

  /** The disk of a member has finished a piece of work, and nobody was told yet. */
  wrote(member: Subject, work: DiskWrite): void {
    this.#durability.wrote(member, work);
  }

  /** A member is about to apply an entry. */
  applying(member: Subject, entry: Entry): void {
    this.#applies.applying(member, entry);
    this.#situations?.applying(member);
  }

  /** A member has applied an entry. */
  applied(member: Subject, entry: Entry): void {
    this.#applies.applied(member, entry);
    this.#situations?.applied(member, entry);
  }

  /** A member has replaced its state by a snapshot. */
  restored(member: Subject, snapshot: Snapshot): void {
    this.#applies.restored(member, snapshot);
    this.#situations?.restored(member, snapshot);
  }
}
