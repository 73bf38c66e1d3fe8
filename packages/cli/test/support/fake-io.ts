import type { InputStream, Io, OutputStream } from '../../src/io.js';

/** An output that keeps what was written. */
export class FakeOutput implements OutputStream {
  readonly isTerminal: boolean;
  text = '';
  /** Fails from the nth write on, as a reader that went away does. */
  failAfter: number = Number.POSITIVE_INFINITY;
  #writeCount = 0;

  constructor(isTerminal: boolean) {
    this.isTerminal = isTerminal;
  }

  write(data: string | Uint8Array): Promise<void> {
    this.#writeCount += 1;
    if (this.#writeCount > this.failAfter) {
      return Promise.reject(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    }
    this.text += typeof data === 'string' ? data : new TextDecoder().decode(data);
    return Promise.resolve();
  }
}

/** An input with given chunks; each is handed out once. */
export class FakeInput implements InputStream {
  readonly isTerminal: boolean;
  readonly rawChanges: boolean[] = [];
  readonly handedOut: Uint8Array[] = [];
  readonly #chunks: Uint8Array[];

  constructor(chunks: readonly (string | Uint8Array)[], isTerminal: boolean) {
    this.isTerminal = isTerminal;
    this.#chunks = chunks.map((chunk) =>
      typeof chunk === 'string' ? new TextEncoder().encode(chunk) : Uint8Array.from(chunk),
    );
  }

  get leftCount(): number {
    return this.#chunks.length;
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
      this.handedOut.push(chunk);
      await Promise.resolve();
      yield chunk;
    }
  }

  setRaw(isRaw: boolean): void {
    this.rawChanges.push(isRaw);
  }
}

/** Streams of a test. */
export interface FakeIo extends Io {
  readonly stdin: FakeInput;
  readonly stdout: FakeOutput;
  readonly stderr: FakeOutput;
}

/** Streams with what is typed or piped, on a terminal or not. */
export function fakeIo(
  options: {
    stdin?: readonly (string | Uint8Array)[];
    isTerminal?: boolean;
    env?: Record<string, string>;
    userId?: number;
  } = {},
): FakeIo {
  const isTerminal = options.isTerminal ?? false;
  return {
    stdin: new FakeInput(options.stdin ?? [], isTerminal),
    stdout: new FakeOutput(isTerminal),
    stderr: new FakeOutput(isTerminal),
    env: options.env ?? {},
    userId: options.userId ?? 1000,
  };
}
