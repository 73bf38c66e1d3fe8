import type { NodeId } from 'raft-ts';

/** A command line: a name, positional words, and options such as `type=MsgApp` or `drop=(1,2)`. */
export class Words {
  readonly name: string;
  readonly positional: readonly string[];
  readonly #options = new Map<string, string>();

  constructor(line: string) {
    const [name = '', ...rest] = line.trim().split(/ +/);
    this.name = name;
    const positional: string[] = [];
    for (const word of rest) {
      const at = word.indexOf('=');
      if (at < 0) positional.push(word);
      else this.#options.set(word.slice(0, at), word.slice(at + 1));
    }
    this.positional = positional;
  }

  /** Ends the test if there is another option than these: a mistyped one must not be passed over. */
  expectOptions(known: readonly string[]): void {
    const other = [...this.#options.keys()].find((name) => !known.includes(name));
    if (other !== undefined) throw new Error(`${this.name} has no option ${other}`);
  }

  get ids(): NodeId[] {
    return this.positional.map(toNumber);
  }

  /** The one node that a command is about. */
  get id(): NodeId {
    return this.number(0);
  }

  number(at: number): number {
    return toNumber(this.positional[at] ?? '');
  }

  has(name: string): boolean {
    return this.#options.has(name);
  }

  text(name: string): string | undefined {
    return this.#options.get(name);
  }

  isOn(name: string): boolean {
    return this.#options.get(name) === 'true';
  }

  count(name: string): number | undefined {
    const text = this.#options.get(name);
    return text === undefined ? undefined : toNumber(text);
  }

  list(name: string): NodeId[] {
    const inner = (this.#options.get(name) ?? '()').replace(/^\((.*)\)$/, '$1');
    return inner === '' ? [] : inner.split(',').map(toNumber);
  }
}

/** A mistyped transcript must not pass as a test of something else. */
function toNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`"${text}" is not a number`);
  return Number(text);
}
