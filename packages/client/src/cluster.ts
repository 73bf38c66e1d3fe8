import { ConclaveError, delay, isConclaveError } from '@conclave/kernel';
import { loadWire } from '@conclave/wire';
import type {
  ClusterInfo,
  ClusterSettings,
  ClusterStatus,
  Committed,
  RingStatus,
  RootStatus,
  WatchEvent,
} from '@conclave/wire';
import { read, readDeadline, readStream, write } from './calls.js';
import type { CallOptions, ClientContext, WriteOptions } from './context.js';

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

/** What waiting for a rotation of the key ring or of the root tells meanwhile. */
export interface RotationWaitOptions<Status> extends CallOptions {
  readonly onProgress?: ((status: Status) => void) | undefined;
  /** Log index of what began the rotation: a manager that has not applied it does not count. */
  readonly afterIndex?: number | undefined;
}

/** How the root certificate is replaced. */
export interface RotateRootOptions extends WriteOptions {
  /**
   * True: somebody else may have the key of a root of before, so none of them may vouch for the new
   * one, and workers that are off until their certificates end join anew. Default: false.
   */
  readonly distrustsFormer?: boolean;
}

/** What to change about the whole cluster; what is absent stays. All lives in milliseconds. */
export interface SettingsChange {
  /** Refuse when they changed since they were read at this object version. */
  readonly objectVersion?: number | undefined;
  /** Of certificates of managers, 1 min to 90 days. */
  readonly managerLifeMs?: number | undefined;
  /** Of certificates of workers, 1 min to 90 days. */
  readonly workerLifeMs?: number | undefined;
  /** Of administrators whose maker names no life, 1 min to 7 days. */
  readonly adminLifeMs?: number | undefined;
}

/** The cluster as a whole. */
export interface ClusterApi {
  /** Identity, limits and the key that values are sealed to. */
  info(options?: CallOptions): Promise<ClusterInfo>;
  status(options?: CallOptions): Promise<ClusterStatus>;
  /**
   * Begins a rotation of the key ring, which then goes on by itself; `status` tells how far it is.
   * @throws CV_ROTATION_RUNNING
   */
  rotateRing(options?: WriteOptions): Promise<Committed>;
  /** Resolves when no rotation of the key ring is on its way; `signal` gives up. */
  waitForRing(options?: RotationWaitOptions<RingStatus>): Promise<RingStatus>;
  /**
   * Begins a rotation of the root certificate, which then goes on by itself.
   * @throws CV_ROTATION_RUNNING while the key ring is rotated
   */
  rotateRoot(options?: RotateRootOptions): Promise<Committed>;
  /** Resolves when no rotation of the root is on its way; `signal` gives up. */
  waitForRoot(options?: RotationWaitOptions<RootStatus>): Promise<RootStatus>;
  settings(options?: CallOptions): Promise<ClusterSettings>;
  /** @throws CV_VERSION_STALE, CV_ARGUMENT_INVALID for a life outside its bounds */
  updateSettings(change: SettingsChange, options?: WriteOptions): Promise<ClusterSettings>;
  /**
   * Changes in log order, without end. A lost connection is made again and goes on behind the last
   * event, so none is missing and none comes twice.
   */
  watch(options?: WatchOptions): AsyncIterable<WatchEvent>;
}

/** Milliseconds between two looks at a rotation. */
const ROTATION_LOOK_MS = 300;

async function waitForRotation<Status extends { readonly phase: string }>(
  context: ClientContext,
  options: RotationWaitOptions<Status>,
  part: (status: ClusterStatus) => Status | null,
): Promise<Status> {
  const method = loadWire().Cluster.GetStatus;
  for (;;) {
    const status = await read(context, { method, request: {} }, options);
    const rotated = part(status);
    const isSeen = status.appliedIndex >= (options.afterIndex ?? 0);
    if (rotated?.phase === '' && isSeen) return rotated;
    if (rotated !== null) options.onProgress?.(rotated);
    if ((await delay(context.timers, ROTATION_LOOK_MS, options.signal)) === 'aborted') {
      throw new ConclaveError('CV_CANCELLED', 'the wait was given up; the rotation goes on');
    }
  }
}

/** How far a watch has come: events of one entry share an index and may be cut anywhere. */
interface WatchPlace {
  index: number;
  countAtIndex: number;
  isSynced: boolean;
}

function advance(place: WatchPlace, event: WatchEvent): void {
  if (event.action === 'synced') {
    // All of that entry is in what was told of the objects.
    Object.assign(place, { index: event.index, countAtIndex: Infinity, isSynced: true });
  } else if (event.index === place.index) place.countAtIndex += 1;
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
    rotateRing: (options = {}) => {
      const request = (key: string) => ({ idempotencyKey: key });
      return write(context, { method: wire.RotateRing, request }, options);
    },
    waitForRing: (options = {}) => waitForRotation(context, options, ({ ring }) => ring),
    rotateRoot: (options = {}) => {
      const { distrustsFormer = false } = options;
      const request = (key: string) => ({ idempotencyKey: key, distrustsFormer });
      return write(context, { method: wire.RotateRoot, request }, options);
    },
    waitForRoot: (options = {}) => waitForRotation(context, options, ({ root }) => root),
    settings: (options = {}) => read(context, { method: wire.GetSettings, request: {} }, options),
    updateSettings: (change, options = {}) => {
      const request = (key: string) => ({
        objectVersion: change.objectVersion ?? 0,
        managerCertificateLifeMs: change.managerLifeMs ?? 0,
        workerCertificateLifeMs: change.workerLifeMs ?? 0,
        adminCertificateLifeMs: change.adminLifeMs ?? 0,
        idempotencyKey: key,
      });
      return write(context, { method: wire.UpdateSettings, request }, options);
    },
    watch: (options = {}) => watch(context, options),
  };
}
