import { loadWire } from '@conclave/wire';
import type { BeginCompromiseResponse, Committed } from '@conclave/wire';
import { write } from './calls.js';
import type { ClientContext, WriteOptions } from './context.js';

/** What a recovery from a compromise begins with. */
export interface CompromiseRequest {
  /** Ids or host names of nodes that somebody else may have. */
  readonly evict: readonly string[];
  /** The certificates of all administrators end. */
  readonly endsAdmins: boolean;
  /** Say what it would do, change nothing. */
  readonly isDryRun?: boolean | undefined;
}

/** The beginning and the end of a recovery from a compromise; `cluster.status` tells how far it is. */
export interface CompromiseApi {
  /**
   * Takes nodes out and ends all join tokens; asked again it adds nodes.
   * @throws CV_NODE_NOT_FOUND, CV_NODE_IN_USE, CV_LAST_MANAGER
   */
  begin(request: CompromiseRequest, options?: WriteOptions): Promise<BeginCompromiseResponse>;
  /** @throws CV_STATE_STALE while a step is open */
  finish(options?: WriteOptions): Promise<Committed>;
}

/** Recoveries over `context`'s port. */
export function createCompromiseApi(context: ClientContext): CompromiseApi {
  const wire = loadWire().Cluster;
  return {
    begin: ({ endsAdmins, evict, isDryRun = false }, options = {}) => {
      const request = (key: string) => ({
        evict: [...evict],
        endsAdmins,
        isDryRun,
        idempotencyKey: key,
      });
      return write(context, { method: wire.BeginCompromise, request }, options);
    },
    finish: (options = {}) => {
      const request = (key: string) => ({ idempotencyKey: key });
      return write(context, { method: wire.FinishCompromise, request }, options);
    },
  };
}
