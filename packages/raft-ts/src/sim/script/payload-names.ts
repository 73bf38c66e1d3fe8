import type { Message } from '../../message-types.js';
import { message } from '../../messages.js';
import type { Ready } from '../../ready-types.js';
import type { Entry } from '../../types.js';

/**
 * Readable payloads instead of those of a run: `p1`, `p2`, ... in the order in which they come up. Where
 * sizes count they are filled up to the length of the original.
 */
export class PayloadNames {
  readonly #names = new Map<string, Uint8Array>();
  readonly #keepsSizes: boolean;

  /** @param keepsSizes whether names are as long as what they stand for */
  constructor(keepsSizes: boolean) {
    this.#keepsSizes = keepsSizes;
  }

  /** The name of a payload as text. */
  textOf(data: Uint8Array): string {
    return String.fromCharCode(...this.of(data));
  }

  /** The name of a payload; nothing stays nothing. */
  of(data: Uint8Array): Uint8Array {
    if (data.length === 0) return data;
    const key = data.join();
    let name = this.#names.get(key);
    if (name === undefined) {
      const text = `p${this.#names.size + 1}`;
      const fitting = this.#keepsSizes ? text.slice(0, data.length).padEnd(data.length, '-') : text;
      name = Uint8Array.from(fitting, (char) => char.charCodeAt(0));
      this.#names.set(key, name);
    }
    return name;
  }

  /** Entries with names as payloads. */
  entries(entries: readonly Entry[]): readonly Entry[] {
    return entries.map((entry) =>
      entry.type === 'EntryNormal' ? { ...entry, data: this.of(entry.data) } : entry,
    );
  }

  /** A message with names as payloads, also in what it carries. */
  message(original: Message): Message {
    return message(original.type, {
      ...original,
      entries: this.entries(original.entries),
      responses: original.responses.map((response) => this.message(response)),
    });
  }

  /** A Ready with names as payloads. */
  ready(ready: Ready): Ready {
    return {
      ...ready,
      entries: this.entries(ready.entries),
      committedEntries: this.entries(ready.committedEntries),
      messages: ready.messages.map((original) => this.message(original)),
      readStates: ready.readStates.map(({ index, requestCtx }) => ({
        index,
        requestCtx: this.of(requestCtx),
      })),
    };
  }
}
