/** An open listener. */
export interface Listener extends AsyncDisposable {
  /** `host:port` that it is bound to, or the path of its socket. */
  readonly address: string;
  /** 0 for a unix socket. */
  readonly port: number;
  /** Open connections, those in their handshake included. */
  readonly connectionCount: number;
  /**
   * Accepts nothing any more, cuts streams, lets other calls finish for `CLOSE_GRACE_MS`, then ends
   * the rest. May be called again; later calls wait for the same end.
   */
  close(): Promise<void>;
}
