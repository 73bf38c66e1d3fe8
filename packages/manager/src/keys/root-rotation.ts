import { createRoot, crossSign } from '@conclave/pki';
import type { Clock, Logger, Random, Timers } from '@conclave/kernel';
import { SecretBytes } from '@conclave/sealed';
import type { KeyRing } from '@conclave/sealed';
import type { ClusterRow, CommandBody, CommandResult, State } from '@conclave/state';
import { rootSerial } from '../identity/issuer.js';
import { StepLoop } from '../step-loop.js';
import type { RingHolder } from './ring-rotation.js';

/** Milliseconds between looks; changes of the cluster or of a node wake it at once. */
const PERIOD_MS = 1_000;

type RootStep = Extract<CommandBody, { readonly kind: `root.${string}` }>;

/** What a rotation works with. */
export interface RootRotationOptions {
  readonly state: State;
  readonly keys: Pick<RingHolder, 'ring'>;
  readonly propose: (body: CommandBody) => Promise<CommandResult>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Leader only: carries a rotation of the root certificate from phase to phase. The new root is in
 * committed state with its sealed key before anybody hears of it, so that a new leader goes on
 * where the last one stopped.
 */
export class RootRotation {
  readonly #options: RootRotationOptions;
  readonly #loop: StepLoop;

  constructor(options: RootRotationOptions) {
    this.#options = options;
    this.#loop = new StepLoop({
      timers: options.timers,
      periodMs: PERIOD_MS,
      step: () => this.#step(),
      onFailure: (error) => options.logger.warn('root.step-failed', { error }),
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

  /** Looks now, because the cluster or a node changed. */
  wake(): void {
    this.#loop.wake();
  }

  async #step(): Promise<boolean> {
    const { clock, state, keys } = this.#options;
    const cluster = state.cluster();
    const phase = cluster?.rootRotation?.phase;
    if (cluster === undefined || phase === undefined || keys.ring === undefined) return false;
    if (phase === 'making') return this.#offer(cluster, keys.ring);
    const { rootStep: step } = cluster;
    if (state.nodesBehindRoot(step, clock.now()).length > 0) return false;
    switch (phase) {
      case 'spreading':
        return this.#advance({ kind: 'root.activate', step });
      case 'renewing':
        return this.#advance({ kind: 'root.drop', step });
      case 'dropping':
        return this.#advance({ kind: 'root.finish', step });
    }
  }

  async #offer(cluster: ClusterRow, ring: KeyRing): Promise<boolean> {
    const { clock, random } = this.#options;
    const { id: clusterId, ringKeyId: keyId, rootGeneration } = cluster;
    ring.selectCurrent(keyId);
    const root = await createRoot({ clusterId, now: clock.now(), random });
    const key = SecretBytes.take(root.privateKeyPkcs8);
    const serial = rootSerial(rootGeneration + 1);
    let keySealed: Uint8Array;
    try {
      keySealed = ring.sealCaKey({ clusterId, serial, key, random });
    } finally {
      key.wipe();
    }
    const crossCertificate = await this.#certify(cluster, ring, root.certificateDer);
    const next = { certificate: root.certificateDer, keySealed, keyId };
    return this.#advance({ kind: 'root.offer', next, crossCertificate });
  }

  /** The key of the new root, certified by the one in force. */
  async #certify(cluster: ClusterRow, ring: KeyRing, rootDer: Uint8Array): Promise<Uint8Array> {
    const { id: clusterId, rootCertificate, rootGeneration, rootKeySealed: envelope } = cluster;
    const key = ring.openCaKey({ clusterId, serial: rootSerial(rootGeneration), envelope });
    try {
      return await key.use((byPrivateKey) =>
        crossSign({ byDer: rootCertificate, byPrivateKey, rootDer, random: this.#options.random }),
      );
    } finally {
      key.wipe();
    }
  }

  /** Proposes a step; a refusal means that the state went on, which the next look sees. */
  async #advance(body: RootStep): Promise<boolean> {
    const { propose, logger, state } = this.#options;
    const result = await propose(body);
    if (!result.ok) throw new Error(`${body.kind}: ${result.message}`);
    logger.info(body.kind, { generation: state.cluster()?.rootGeneration ?? 0 });
    return true;
  }
}
