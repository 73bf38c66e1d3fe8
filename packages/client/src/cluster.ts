import { isConclaveError } from '@conclave/kernel';
import { loadWire } from '@conclave/wire';
import type { ClusterInfo, ClusterStatus, WatchEvent } from '@conclave/wire';
import { read, readDeadline, readStream } from './calls.js';
import type { CallOptions, ClientContext } from './context.js';

/** The kinds of object that a watch tells about. */
export type WatchKind = 'secret' | 'service' | 'task' | 'node' | 'token' | 'receipt';

/** What `cluster.watch` tells. */
export interface WatchOptions extends CallOptions {
  /** Default: all. */
  readonly kinds?: readonly WatchKind[] | undefined;
  /** Log index after which to begin; default: from now on. */
  readonly afterIndex?: number | undefined;
  /** First one event `current` for every object, then `synced`; default false. */
  readonly hasSnapshot?: boolean | undefined;
}

/** The cluster as a whole. */
export interface ClusterApi {
  /** Identity, limits and the key that values are sealed to. */
  info(options?: CallOptions): Promise<ClusterInfo>;
  status(options?: CallOptions): Promise<ClusterStatus>;
  /**
   * Changes in log order, without end. A lost connection is made again and goes on behind the last
   * event, so none is missing and none comes twice.
   */
  watch(options?: WatchOptions): AsyncIterable<WatchEvent>;
}

/** How far a watch has come: events of one entry share an index and may be cut anywhere. */
interface WatchPlace {
  index: number;
  countAtIndex: number;
  isSynced: boolean;
}

function advance(place: WatchPlace, event: WatchEvent): void {
  if (event.action === 'synced') place.isSynced = true;
  if (event.index === place.index) place.countAtIndex += 1;
  else {
    place.index = event.index;
    place.countAtIndex = 1;
  }
}

async function* watchOnce(
  context: ClientContext,
  options: WatchOptions,
  place: WatchPlace,
): AsyncGenerator<WatchEvent, void, void> {
  const isResumed = place.index > 1;
  const request = {
    kinds: [...(options.kinds ?? [])],
    afterIndex: isResumed ? place.index - 1 : (options.afterIndex ?? 0),
    snapshot: !place.isSynced && (options.hasSnapshot ?? false),
  };
  let skipCount = isResumed ? place.countAtIndex : 0;
  const call = { method: loadWire().Cluster.Watch, request, isEndless: true };
  for await (const event of readStream(context, call, options)) {
    if (isResumed && event.index === place.index && skipCount > 0) {
      skipCount -= 1;
      continue;
    }
    yield event;
  }
}

function canResume(options: WatchOptions, place: WatchPlace): boolean {
  if (options.hasSnapshot === true && !place.isSynced) return false;
  return place.index > 1 || (options.afterIndex ?? 0) > 0;
}

async function* watch(
  context: ClientContext,
  options: WatchOptions,
): AsyncGenerator<WatchEvent, void, void> {
  const place: WatchPlace = { index: 0, countAtIndex: 0, isSynced: false };
  for (;;) {
    const startedAt = context.clock.monotonic();
    const indexBefore = place.index;
    try {
      for await (const event of watchOnce(context, options, { ...place })) {
        if (event.action !== 'current') advance(place, event);
        yield event;
      }
      return;
    } catch (error) {
      const isLost = isConclaveError(error) && error.code === 'CV_PEER_UNREACHABLE';
      // Opening is repeated within the read deadline; twice that long means that it was open.
      const elapsedMs = context.clock.monotonic() - startedAt;
      const wasOpen = place.index > indexBefore || elapsedMs > 2 * readDeadline(context, options);
      if (!isLost || !wasOpen || !canResume(options, place)) throw error;
    }
  }
}

/** The cluster over `context`'s port. */
export function createClusterApi(context: ClientContext): ClusterApi {
  const wire = loadWire().Cluster;
  return {
    info: (options = {}) => read(context, { method: wire.GetInfo, request: {} }, options),
    status: (options = {}) => read(context, { method: wire.GetStatus, request: {} }, options),
    watch: (options = {}) => watch(context, options),
  };
}
