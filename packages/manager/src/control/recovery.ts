import { ConclaveError, equalBytes } from '@conclave/kernel';
import { recoveryContext } from '@conclave/client';
import { sealToRecipient, SecretBytes } from '@conclave/sealed';
import type { ClusterRow, RecoveryRow } from '@conclave/state';
import type {
  CommittedInput,
  ConfirmRecoveryRequest,
  RecoveryInput,
  StageRecoveryRequest,
  StageRecoveryResponseInput,
} from '@conclave/wire';
import { recoveryMessage, recoveryOf } from '../keys/recovery-message.js';
import { commit, numberOf } from './commit.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { requestOf } from './fingerprint.js';
import { clusterOf } from './lookups.js';
import { readState } from './reading.js';

/** Keeps the digests of challenges apart from those of secrets, whose ids are longer. */
const CHALLENGE_LABEL = 'recovery';

/** The recovery keys in committed state, with a challenge for the staged one. */
export async function getRecovery(deps: ControlDependencies): Promise<RecoveryInput> {
  const state = await readState(deps);
  const cluster = clusterOf(state);
  const current = recoveryMessage(cluster.recovery);
  const staged = cluster.stagedRecovery;
  const oldOn = state.managersWithOldRecovery();
  if (staged === undefined) return { current, oldOn };
  const waitingFor = [...state.nodes()]
    .filter(({ id, manager }) => manager !== undefined && !cluster.stagedRecoveryBy.includes(id))
    .map(({ hostname }) => hostname);
  const challenge = challengeFor(deps, cluster, staged);
  return { current, staged: recoveryMessage(staged), challenge, waitingFor, oldOn };
}

/** @throws CV_ARGUMENT_INVALID when it is not the public half of a recovery key */
export async function stageRecovery(
  deps: ControlDependencies,
  request: StageRecoveryRequest,
  call: CallContext,
): Promise<StageRecoveryResponseInput> {
  const { generation: _, ...recovery } = recoveryOf(request.recovery);
  const { idempotencyKey } = request;
  const asked = { publicKey: [...recovery.publicKey] };
  const done = await commit(deps, {
    call,
    request: requestOf(call, { method: 'Cluster.StageRecovery', idempotencyKey, asked }),
    body: { kind: 'recovery.stage', recovery },
  });
  deps.logger.info('recovery.staged', { generation: numberOf(done, 'generation') });
  return { index: done.index, generation: numberOf(done, 'generation') };
}

/**
 * @throws CV_RECOVERY_PENDING when none is staged or a manager is not sealed to it yet
 * @throws CV_RECOVERY_KEY_WRONG unless the answer is what the challenge holds
 */
export async function confirmRecovery(
  deps: ControlDependencies,
  request: ConfirmRecoveryRequest,
  call: CallContext,
): Promise<CommittedInput> {
  const { generation, answer, idempotencyKey } = request;
  const { recovery, stagedRecovery } = clusterOf(await readState(deps));
  const row = [stagedRecovery, recovery].find((known) => known?.generation === generation);
  if (row === undefined) {
    throw new ConclaveError('CV_RECOVERY_PENDING', 'no new recovery key is staged', {
      hint: 'Make one with: conclave keys rotate-recovery.',
    });
  }
  if (!equalBytes(answer, answerOf(deps, row))) {
    throw new ConclaveError('CV_RECOVERY_KEY_WRONG', 'the challenge was opened with another key');
  }
  const done = await commit(deps, {
    call,
    request: requestOf(call, {
      method: 'Cluster.ConfirmRecovery',
      idempotencyKey,
      asked: { generation },
    }),
    body: { kind: 'recovery.confirm', generation },
  });
  deps.logger.info('recovery.confirmed', { generation });
  return { index: done.index };
}

function challengeFor(
  deps: ControlDependencies,
  cluster: ClusterRow,
  row: RecoveryRow,
): Uint8Array {
  const plaintext = SecretBytes.take(answerOf(deps, row));
  try {
    return sealToRecipient({
      publicKey: row.publicKey,
      context: recoveryContext(cluster.id, row.generation),
      plaintext,
      random: deps.random,
    });
  } finally {
    plaintext.wipe();
  }
}

/** What only a manager with the ring and the owner of the staged key can know. */
function answerOf(deps: ControlDependencies, { publicKey }: RecoveryRow): Uint8Array {
  const value = SecretBytes.take(Uint8Array.from(publicKey));
  try {
    return deps.ring().digestValue({ secretId: CHALLENGE_LABEL, value });
  } finally {
    value.wipe();
  }
}
