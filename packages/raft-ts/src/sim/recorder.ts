import { describeMessage } from '../describe.js';
import type { Message } from '../message-types.js';
import { eventName } from './events.js';
import type { SimEvent } from './scheduler.js';

const LINES_MAX = 50;

interface Line {
  time: number;
  kind: number;
  target: number;
  a: number;
  b: number;
  message: Message | undefined;
  /** What was done, in words. */
  text: (() => string) | undefined;
}

/** Keeps the last events, to be put into words only when a run fails. */
export class Recorder {
  readonly #lines: Line[] = [];
  readonly #script: string[] | undefined;
  #count = 0;

  /** @param script gets a line for each fault and each operation of a client */
  constructor(script: string[] | undefined) {
    this.#script = script;
  }

  /** An event is about to happen. */
  note(event: SimEvent): void {
    const at = this.#count++ % LINES_MAX;
    const line = this.#lines[at];
    if (line === undefined) {
      const { time, kind, target, a, b, message } = event;
      this.#lines.push({ time, kind, target, a, b, message, text: undefined });
      return;
    }
    line.time = event.time;
    line.kind = event.kind;
    line.target = event.target;
    line.a = event.a;
    line.b = event.b;
    line.message = event.message;
    line.text = undefined;
  }

  /**
   * The event noted last did this.
   *
   * @param text called only if somebody reads it; must not depend on what happens later
   */
  explain(text: () => string): void {
    const line = this.#lines[(this.#count - 1) % LINES_MAX];
    if (line !== undefined) line.text = text;
    if (this.#script === undefined || line === undefined) return;
    this.#script.push(textOf(line).trimStart());
  }

  /** The last events in words, oldest first. */
  lines(): readonly string[] {
    const start = this.#count <= LINES_MAX ? 0 : this.#count % LINES_MAX;
    return [...this.#lines.slice(start), ...this.#lines.slice(0, start)].map(textOf);
  }
}

function textOf({ time, kind, target, a, b, message, text }: Line): string {
  const at = `${(time / 1000).toFixed(3).padStart(12)} ms`;
  if (message !== undefined) return `${at}  ${describeMessage(message)}`;
  if (text !== undefined) return `${at}  ${text()}`;
  return `${at}  ${eventName(kind)} ${target} (${a}, ${b})`;
}
