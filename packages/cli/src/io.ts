/** Where a command reads a value or an answer from. */
export interface InputStream {
  /** True when a person types. */
  readonly isTerminal: boolean;
  /** Chunks until the end of input. May be called again after a loop was left early. */
  chunks(): AsyncIterable<Uint8Array>;
  /** On a terminal: keys come one by one and are not echoed. */
  setRaw(isRaw: boolean): void;
}

/** Where a command writes. */
export interface OutputStream {
  readonly isTerminal: boolean;
  /** Resolves when the reader has taken enough. Rejects with code EPIPE when the reader is gone. */
  write(data: string | Uint8Array): Promise<void>;
}

/** What a command sees of its process. */
export interface Io {
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Numeric user id of the process. */
  readonly userId: number;
}
