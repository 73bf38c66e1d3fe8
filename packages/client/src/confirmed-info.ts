import { ConclaveError, isConclaveError, toHex } from '@conclave/kernel';
import { loadWire } from '@conclave/wire';
import type { ClusterInfo } from '@conclave/wire';
import { readDeadline } from './calls.js';
import type { ClusterApi } from './cluster.js';
import type { CallOptions, ClientContext } from './context.js';
import type { AttemptOptions, RpcPort } from './port.js';
import { withRetry } from './retry.js';

/**
 * To which key values are sealed, as more than half of the known managers say it. A manager that was
 * removed keeps its certificate until that ends, and might name a key of its own: one alone is not
 * believed. Over a port to one daemon, what that one says.
 * @throws CV_PEER_UNREACHABLE when half of them or fewer answer
 * @throws CV_STATE_STALE when no answer is that of more than half
 */
export function confirmedInfo(
  context: ClientContext,
  cluster: ClusterApi,
  options: CallOptions,
): Promise<ClusterInfo> {
  const { each } = context.port;
  if (each === undefined) return cluster.info(options);
  const { signal } = options;
  const retry = { deadlineMs: readDeadline(context, options), signal };
  return withRetry(context, retry, (deadlineMs) => mostSay(each(), { deadlineMs, signal }));
}

/** Settles as soon as enough agree: the others may be down. */
function mostSay(
  ports: readonly Promise<RpcPort>[],
  attempt: AttemptOptions,
): Promise<ClusterInfo> {
  const neededCount = Math.floor(ports.length / 2) + 1;
  const voices = new Map<string, number>();
  const failures: unknown[] = [];
  return new Promise((resolve, reject) => {
    let openCount = ports.length;
    const hear = (info: ClusterInfo): void => {
      const said = toHex(info.intakePublicKey);
      const count = (voices.get(said) ?? 0) + 1;
      voices.set(said, count);
      if (count === neededCount) resolve(info);
    };
    const close = (): void => {
      openCount -= 1;
      if (openCount > 0) return;
      const heardCount = ports.length - failures.length;
      reject(heardCount < neededCount ? tooFew(failures, ports.length) : noneOfMost());
    };
    for (const port of ports) {
      void port
        .then((open) => open.unary(loadWire().Cluster.GetInfo, {}, attempt))
        .then(hear, (error: unknown) => void failures.push(error))
        .then(close);
    }
  });
}

/** What a manager said tells more than that another one cannot be reached. */
function tooFew(failures: readonly unknown[], count: number): Error {
  const said = failures.find(
    (failure) => !isConclaveError(failure) || failure.code !== 'CV_PEER_UNREACHABLE',
  );
  if (said instanceof Error) return said;
  const heardCount = count - failures.length;
  return new ConclaveError(
    'CV_PEER_UNREACHABLE',
    `${heardCount} of the ${count} managers of the context answer, and a value is sealed to what ` +
      'more than half of them say',
    {
      hint: 'If managers were replaced, renew the context: conclave admin renew.',
      cause: failures[0],
    },
  );
}

function noneOfMost(): ConclaveError {
  return new ConclaveError(
    'CV_STATE_STALE',
    'the managers of the context do not agree on the key that values are sealed to',
    {
      hint:
        'One of them may have been removed: compare the context with `conclave node ls` on a ' +
        'manager, and renew it with `conclave admin renew`.',
    },
  );
}
