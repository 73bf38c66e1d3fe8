import { describeMessage } from '../describe.js';
import type { Message } from '../message-types.js';
import { eventName } from './events.js';
import type { PlanAction } from './plan.js';
import type { SimEvent } from './scheduler.js';

const LINES_MAX = 50;

interface Line {
  time: number;
  kind: number;
  target: number;
  a: number;
  b: number;
  message: Message | undefined;
  action: PlanAction | undefined;
}

/** Keeps the last events, to be put into words only when a run fails. */
export class Recorder {
  readonly #lines: Line[] = [];
  #count = 0;

  /** An event is about to happen. */
  note(event: SimEvent): void {
    const at = this.#count++ % LINES_MAX;
    const line = this.#lines[at];
    if (line === undefined) {
      const { time, kind, target, a, b, message } = event;
      this.#lines.push({ time, kind, target, a, b, message, action: undefined });
      return;
    }
    line.time = event.time;
    line.kind = event.kind;
    line.target = event.target;
    line.a = event.a;
    line.b = event.b;
    line.message = event.message;
    line.action = undefined;
  }

  /** The event noted last carries out this action. */
  action(action: PlanAction): void {
    const line = this.#lines[(this.#count - 1) % LINES_MAX];
    if (line !== undefined) line.action = action;
  }

  /** The last events in words, oldest first. */
  lines(): readonly string[] {
    const start = this.#count <= LINES_MAX ? 0 : this.#count % LINES_MAX;
    return [...this.#lines.slice(start), ...this.#lines.slice(0, start)].map(textOf);
  }
}

function textOf({ time, kind, target, a, b, message, action }: Line): string {
  const at = `${(time / 1000).toFixed(3).padStart(12)} ms`;
  if (message !== undefined) return `${at}  ${describeMessage(message)}`;
  if (action !== undefined) return `${at}  ${describeAction(action)}`;
  return `${at}  ${eventName(kind)} ${target} (${a}, ${b})`;
}

/** An action in words. */
export function describeAction({ kind, x, y, z }: PlanAction): string {
  return `${kind} ${x} ${y} ${z}`;
}
