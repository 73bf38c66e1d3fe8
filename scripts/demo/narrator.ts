import { styleText } from 'node:util';
import type { Host, RunOptions } from '@conclave/testing';

/** One row of the closing table. */
interface Row {
  readonly what: string;
  readonly ms: number;
}

const isPlain = process.env['NO_COLOR'] !== undefined || process.stdout.isTTY !== true;
const style = (format: 'bold' | 'dim' | 'green' | 'red' | 'cyan', text: string): string =>
  isPlain ? text : styleText(format, text);

/** Says what happens, in the order in which a person would type and read it. */
export class Narrator {
  readonly #rows: Row[] = [];
  #step = 0;

  /** A line of text. */
  say(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  /** Begins a chapter. */
  chapter(title: string): void {
    this.#step += 1;
    this.say(`\n${style('bold', `${this.#step}. ${title}`)}`);
  }

  /** A command as it would be typed on a host. */
  typed(host: string, command: string): void {
    this.say(`${style('cyan', `${host}$`)} ${command}`);
  }

  /** What a command answered. */
  answered(text: string): void {
    for (const line of text.trimEnd().split('\n')) if (line !== '') this.say(`    ${line}`);
  }

  /** Types a command on a host, runs it and shows its answer. It must succeed. */
  async type(
    host: Host,
    args: readonly string[],
    options: RunOptions & { readonly shown?: string; readonly isQuiet?: boolean } = {},
  ): Promise<string> {
    this.typed(host.name, options.shown ?? `conclave ${args.map(quoted).join(' ')}`);
    const result = await host.conclave(args, { ...options, timeoutMs: 60_000 });
    if (result.code !== 0) {
      this.answered(result.stderr);
      throw new Error(`the command ended with exit code ${result.code}`);
    }
    if (options.isQuiet !== true) this.answered(result.stdout);
    return result.stdout;
  }

  /** Something that was promised and was seen to hold. */
  proven(text: string): void {
    this.say(`  ${style('green', '✓')} ${text}`);
  }

  /** Checks a promise. */
  demand(isKept: boolean, promise: string): void {
    if (!isKept) throw new Error(`not as promised: ${promise}`);
    this.proven(promise);
  }

  /** Runs `act` and notes how long it took under `what`. */
  async timed<T>(what: string, act: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await act();
    this.#rows.push({ what, ms: performance.now() - started });
    return result;
  }

  /** The table of all that was timed. */
  table(): void {
    const width = Math.max(...this.#rows.map((row) => row.what.length));
    this.say(`\n${style('bold', 'What, and how long it took')}`);
    for (const { what, ms } of this.#rows) {
      this.say(`  ${what.padEnd(width)}  ${`${(ms / 1000).toFixed(2)} s`.padStart(8)}`);
    }
  }

  failed(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.say(`\n${style('red', '✗')} ${text}`);
  }
}

function quoted(word: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word)
    ? word
    : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
