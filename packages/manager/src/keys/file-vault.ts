/** Small durable files of this host; the daemon hands one in. */
export interface FileVault {
  /** Undefined when there is no such file. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Atomic and durable when it resolves; mode 0600. */
  write(name: string, content: Uint8Array): Promise<void>;
  /** A file or a folder with all its content; no error when there is none. */
  remove(name: string): Promise<void>;
}
