import { ConclaveError, delay } from '@conclave/kernel';
import { encodeFields, openFromRecipient, recipientPublicKey } from '@conclave/sealed';
import type { RecoveryRecipient, SecretBytes } from '@conclave/sealed';
import { loadWire } from '@conclave/wire';
import type { Committed, Recovery, StageRecoveryResponse } from '@conclave/wire';
import { read, write } from './calls.js';
import type { ClusterApi } from './cluster.js';
import type { CallOptions, ClientContext, WriteOptions } from './context.js';

/** What waiting for the managers tells meanwhile. */
export interface RecoveryWaitOptions extends CallOptions {
  /** Host names of the managers that it waits for. */
  readonly onProgress?: ((waitingFor: readonly string[]) => void) | undefined;
}

/** The recovery key of the cluster: what opens every manager's keys. */
export interface RecoveryApi {
  /** Public halves only. */
  get(options?: CallOptions): Promise<Recovery>;
  /**
   * Begins to replace the recovery key: every manager seals its keys to the new one as well. One
   * that was staged before and never confirmed is given up.
   */
  stage(recipient: RecoveryRecipient, options?: WriteOptions): Promise<StageRecoveryResponse>;
  /**
   * Proves that `key` is the staged one and puts it in force; the old one opens nothing from then
   * on. The key stays here and is not wiped.
   * @throws CV_RECOVERY_PENDING when none is staged or a manager is not sealed to it yet
   * @throws CV_RECOVERY_KEY_WRONG when it is another key
   */
  confirm(key: SecretBytes, options?: WriteOptions): Promise<Committed>;
  /** Resolves when every manager opens with the staged key too; `signal` gives up. */
  waitForSeals(options?: RecoveryWaitOptions): Promise<void>;
  /** Resolves when no manager opens with the key before any more; `signal` gives up. */
  waitForManagers(options?: RecoveryWaitOptions): Promise<void>;
}

/** Milliseconds between two looks at the managers. */
const LOOK_MS = 300;

/** What a challenge is sealed for: this cluster and the key of this generation. */
export function recoveryContext(clusterId: string, generation: number): Uint8Array {
  return encodeFields(['CV-RECOVERY-PROOF-1', clusterId, generation]);
}

/** The recovery key over `context`'s port. */
export function createRecoveryApi(context: ClientContext, cluster: ClusterApi): RecoveryApi {
  const wire = loadWire().Cluster;
  const get = (options: CallOptions = {}): Promise<Recovery> =>
    read(context, { method: wire.GetRecovery, request: {} }, options);
  const waitFor = async (
    part: (recovery: Recovery) => readonly string[],
    { onProgress, signal }: RecoveryWaitOptions,
  ): Promise<void> => {
    for (;;) {
      const managers = part(await get({ signal }));
      if (managers.length === 0) return;
      onProgress?.(managers);
      if ((await delay(context.timers, LOOK_MS, signal)) === 'aborted') {
        throw new ConclaveError('CV_CANCELLED', 'the wait was given up; the change goes on');
      }
    }
  };
  return {
    get,
    stage: ({ publicKey, threshold, shareHashes }, options = {}) => {
      const recovery = { publicKey, threshold, shareHashes: [...shareHashes] };
      const request = (key: string): object => ({ recovery, idempotencyKey: key });
      return write(context, { method: wire.StageRecovery, request }, options);
    },
    waitForSeals: (options = {}) => waitFor(({ waitingFor }) => waitingFor, options),
    waitForManagers: (options = {}) => waitFor(({ oldOn }) => oldOn, options),
    confirm: async (key, options = {}) => {
      const { staged, challenge } = await get({ signal: options.signal });
      if (staged === null) {
        throw new ConclaveError('CV_RECOVERY_PENDING', 'no new recovery key is staged', {
          hint: 'Make one with: conclave keys rotate-recovery.',
        });
      }
      const { clusterId } = await cluster.info({ signal: options.signal });
      const answer = openFromRecipient({
        keyPair: { publicKey: recipientPublicKey(key), privateKey: key },
        context: recoveryContext(clusterId, staged.generation),
        sealed: challenge,
      });
      const { generation } = staged;
      try {
        const bytes = answer.use((view) => Uint8Array.from(view));
        const request = (id: string): object => ({ generation, answer: bytes, idempotencyKey: id });
        return await write(context, { method: wire.ConfirmRecovery, request }, options);
      } finally {
        answer.wipe();
      }
    },
  };
}
