import type { LogLevel, Message, NodeId } from 'raft-ts';
import { describeMessage, RaftError, RaftInvariantError } from 'raft-ts';
import type { Member } from './member.js';

const LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'NONE'] as const;

/** Which messages in flight a command is about. */
export interface Selection {
  readonly to: NodeId;
  readonly type?: string | undefined;
}

/** Members, messages in flight, and what is printed. Nothing happens by itself. */
export class Session {
  readonly members = new Map<NodeId, Member>();
  inFlight: Message[] = [];
  #level: (typeof LEVELS)[number] = 'DEBUG';
  #lines: string[] = [];
  #indent = '';

  /** Runs a command. @returns its output; `ok` if it printed nothing */
  collect(work: () => void): string {
    this.#lines = [];
    this.attempt(work);
    return this.#lines.length === 0 ? 'ok' : this.#lines.join('\n');
  }

  /** Errors of the library are results; those of the transcript itself end the test. */
  attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      this.print(error instanceof RaftInvariantError ? `FAILED: ${error.message}` : error.message);
    }
  }

  print(text: string): void {
    if (this.#level === 'NONE' || text === '') return;
    for (const line of text.replace(/\n$/, '').split('\n')) {
      this.#lines.push(`${this.#indent}${line}`);
    }
  }

  /** Prints a title and, indented, what the work prints. */
  section(title: string, work: () => void): void {
    this.print(`> ${title}`);
    const before = this.#indent;
    this.#indent += '  ';
    work();
    this.#indent = before;
  }

  setLevel(name: string): void {
    const level = LEVELS.find((known) => known === name.toUpperCase());
    if (level === undefined) throw new Error(`no log level ${name}`);
    this.#level = level;
  }

  readonly logger = {
    enabled: (level: LogLevel): boolean => LEVELS.indexOf(level) >= LEVELS.indexOf(this.#level),
    log: (level: LogLevel, text: string): void => this.print(`${level} ${text}`),
  };

  member(id: NodeId): Member {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  /** Members by id; all of them if none is named. */
  selected(ids: readonly NodeId[]): Member[] {
    return ids.length === 0 ? [...this.members.values()] : ids.map((id) => this.member(id));
  }

  matching({ to, type }: Selection): Message[] {
    return this.inFlight.filter((m) => m.to === to && (type === undefined || m.type === type));
  }

  /** Takes messages out of the network. */
  take(selection: Selection): Message[] {
    const taken = this.matching(selection);
    this.inFlight = this.inFlight.filter((message) => !taken.includes(message));
    return taken;
  }

  deliver(selection: Selection): void {
    const { node } = this.member(selection.to);
    for (const message of this.take(selection)) {
      this.print(describeMessage(message));
      this.attempt(() => node.step(message));
    }
  }

  drop(selection: Selection): void {
    for (const message of this.take(selection)) this.print(`dropped: ${describeMessage(message)}`);
  }
}
