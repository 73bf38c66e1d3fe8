import type { Clock, Logger, Random, Timers } from '@conclave/kernel';
import type { KeyRing, SealedValue } from '@conclave/sealed';
import type {
  ClusterRow,
  CommandBody,
  CommandResult,
  RewrappedVersion,
  RingRotationRow,
  State,
} from '@conclave/state';
import { rootSerial } from '../identity/issuer.js';
import { StepLoop } from '../step-loop.js';
import { ringDemandOf } from './ring-demand.js';

/** Milliseconds between looks; changes of the cluster or of a manager wake it at once. */
const PERIOD_MS = 1_000;
/** Versions of secrets whose data keys move in one entry of the log. */
const BATCH_COUNT_MAX = 64;
/** Bytes of values that are opened for one batch: their digests are made anew. */
const BATCH_BYTES_MAX = 1_048_576;
/**
 * Milliseconds for which a new leader looks for the version that an earlier one offered, before it
 * offers another one.
 */
const LOST_OFFER_MS = 30_000;

type RingStep = Extract<CommandBody, { readonly kind: `ring.${string}`; readonly keyId: number }>;

/** The key ring of this manager, and the only way to change it. */
export interface RingHolder {
  readonly ring: KeyRing | undefined;
  saveRing(ring: KeyRing): Promise<void>;
}

/** What a rotation works with. */
export interface RingRotationOptions {
  readonly state: State;
  readonly keys: RingHolder;
  readonly propose: (body: CommandBody) => Promise<CommandResult>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Leader only: carries a rotation of the key ring from phase to phase. What was reached stands in
 * committed state, so that a new leader goes on where the last one stopped.
 */
export class RingRotation {
  readonly #options: RingRotationOptions;
  readonly #loop: StepLoop;
  readonly #startedAtMs: number;

  constructor(options: RingRotationOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.monotonic();
    this.#loop = new StepLoop({
      timers: options.timers,
      periodMs: PERIOD_MS,
      step: () => this.#step(),
      onFailure: (error) => options.logger.warn('ring.step-failed', { error }),
    });
  }

  /** Begins, on winning leadership. */
  start(): void {
    this.#loop.start();
  }

  /** Ends, on losing leadership. */
  stop(): void {
    this.#loop.stop();
  }

  /** Looks now, because the cluster or a manager changed. */
  wake(): void {
    this.#loop.wake();
  }

  async #step(): Promise<boolean> {
    const { state, keys } = this.#options;
    const cluster = state.cluster();
    const rotation = cluster?.ringRotation;
    if (cluster === undefined || rotation === undefined || keys.ring === undefined) return false;
    switch (rotation.phase) {
      case 'offering':
        return this.#offer(cluster, keys.ring);
      case 'spreading':
        return this.#spread(cluster, rotation, keys.ring);
      case 'rewrapping':
        return this.#rewrapAll(cluster, rotation.keyId);
      case 'retiring':
        if (state.managersWithoutRing(rotation.generation).length > 0) return false;
        return this.#advance({ kind: 'ring.finish', keyId: rotation.keyId });
    }
  }

  /** Makes a version, keeps it safe on this disk, and only then tells of it. */
  async #offer(cluster: ClusterRow, ring: KeyRing): Promise<boolean> {
    const { keys, random } = this.#options;
    const { ringKeyId, ringGeneration, ringRotation } = cluster;
    const keyId = Math.max(ring.newestKeyId, ringKeyId, ringRotation?.keyId ?? 0) + 1;
    const generation = Math.max(ringGeneration, ringRotation?.generation ?? 0) + 1;
    // Offers that were lost are of no use any more.
    const inUse = ring.retireAllBut({ keyId: ringKeyId, generation: ringGeneration });
    const offered = inUse.rotate(random, { keyId, generation });
    inUse.wipe();
    const commitment = offered.commitment(keyId);
    await keys.saveRing(offered);
    return this.#advance({ kind: 'ring.offer', keyId, commitment });
  }

  async #spread(cluster: ClusterRow, rotation: RingRotationRow, ring: KeyRing): Promise<boolean> {
    const { state, clock } = this.#options;
    const isHere = ringDemandOf(cluster).isMetBy(ring);
    const isLost = !isHere && clock.monotonic() - this.#startedAtMs > LOST_OFFER_MS;
    if (isLost) return this.#offer(cluster, ring);
    if (!isHere || state.managersWithoutRing(rotation.generation).length > 0) return false;
    return this.#advance({ kind: 'ring.activate', keyId: rotation.keyId });
  }

  /** Moves everything that is under an old version; apply sees that nothing was left behind. */
  async #rewrapAll(cluster: ClusterRow, keyId: number): Promise<boolean> {
    const { state } = this.#options;
    let batch: RewrappedVersion[] = [];
    let bytes = 0;
    if (cluster.rootKeyId !== keyId) await this.#rewrap([], this.#rootKeyUnder(cluster, keyId));
    // Rows are read while writes go on: what comes anew meanwhile is under the new version.
    for (const { id } of state.secrets()) {
      for (const { version, isDestroyed, keyId: under } of state.secretVersions(id)) {
        const sealed =
          isDestroyed || under === keyId ? undefined : state.secretVersion(id, version);
        if (sealed?.sealed === undefined) continue;
        batch.push(this.#moved({ clusterId: cluster.id, secretId: id, version }, sealed.sealed));
        bytes += sealed.sealed.size;
        if (batch.length < BATCH_COUNT_MAX && bytes < BATCH_BYTES_MAX) continue;
        await this.#rewrap(batch);
        batch = [];
        bytes = 0;
      }
    }
    if (batch.length > 0) await this.#rewrap(batch);
    return this.#advance({ kind: 'ring.retire', keyId });
  }

  /** The data key under the current version; the value is opened for its new digest only. */
  #moved(
    place: { readonly clusterId: string; readonly secretId: string; readonly version: number },
    sealed: SealedValue,
  ): RewrappedVersion {
    const ring = this.#currentRing();
    const { secretId, version } = place;
    const { wrappedDek } = ring.rewrap({ ...place, sealed, random: this.#options.random });
    const value = ring.openValue({ ...place, sealed });
    try {
      return { secretId, version, wrappedDek, digest: ring.digestValue({ secretId, value }) };
    } finally {
      value.wipe();
    }
  }

  #rootKeyUnder(cluster: ClusterRow, keyId: number): Uint8Array {
    const { random } = this.#options;
    const ring = this.#currentRing();
    const place = { clusterId: cluster.id, serial: rootSerial(cluster.rootGeneration) };
    const key = ring.openCaKey({ ...place, envelope: cluster.rootKeySealed });
    try {
      ring.selectCurrent(keyId);
      return ring.sealCaKey({ ...place, key, random });
    } finally {
      key.wipe();
    }
  }

  /** The ring with the version that committed state has made current. */
  #currentRing(): KeyRing {
    const { state, keys } = this.#options;
    const keyId = state.cluster()?.ringKeyId;
    if (keys.ring === undefined || keyId === undefined) throw new Error('there is no key ring');
    keys.ring.selectCurrent(keyId);
    return keys.ring;
  }

  async #rewrap(versions: readonly RewrappedVersion[], rootKeySealed?: Uint8Array): Promise<void> {
    const keyId = this.#options.state.cluster()?.ringKeyId ?? 0;
    await this.#advance({ kind: 'ring.rewrap', keyId, versions, rootKeySealed });
  }

  /** Proposes a step; a refusal means that the state went on, which the next look sees. */
  async #advance(body: RingStep): Promise<boolean> {
    const { propose, logger } = this.#options;
    const result = await propose(body);
    if (!result.ok) throw new Error(`${body.kind}: ${result.message}`);
    if (body.kind !== 'ring.rewrap') logger.info(body.kind, { keyId: body.keyId });
    return true;
  }
}
