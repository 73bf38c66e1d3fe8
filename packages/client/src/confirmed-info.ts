import { ConclaveError, equalBytes, isConclaveError } from '@conclave/kernel';
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

/** What one manager said. */
interface Voice {
  readonly managerId: string;
  readonly info: ClusterInfo;
}

/** Settles as soon as enough agree: the others may be down. */
function mostSay(
  ports: readonly Promise<RpcPort>[],
  attempt: AttemptOptions,
): Promise<ClusterInfo> {
  const voices: Voice[] = [];
  const failures: unknown[] = [];
  return new Promise((resolve, reject) => {
    const count = (): void => {
      const isOver = voices.length + failures.length === ports.length;
      const heardCount = new Set(voices.map(({ managerId }) => managerId)).size;
      // Two addresses may be one manager; those that are silent may each be another one.
      const managerCount = isOver ? heardCount + failures.length : ports.length;
      const info = majorityOf(voices, managerCount);
      if (info !== undefined) resolve(info);
      else if (isOver) {
        reject(heardCount > managerCount / 2 ? noneOfMost() : tooFew(failures, managerCount));
      }
    };
    for (const port of ports) {
      void ask(port, attempt)
        .then(
          (voice) => void voices.push(voice),
          (error: unknown) => void failures.push(error),
        )
        .then(count);
    }
  });
}

async function ask(port: Promise<RpcPort>, attempt: AttemptOptions): Promise<Voice> {
  const open = await port;
  const info = await open.unary(loadWire().Cluster.GetInfo, {}, attempt);
  return { managerId: open.peerId?.() ?? '', info };
}

/** What more than half of so many managers say; each has one voice, however often it answers. */
function majorityOf(voices: readonly Voice[], managerCount: number): ClusterInfo | undefined {
  const agreed = voices.find(({ info }) => {
    const same = voices.filter((other) =>
      equalBytes(other.info.intakePublicKey, info.intakePublicKey),
    );
    return new Set(same.map(({ managerId }) => managerId)).size > managerCount / 2;
  });
  return agreed?.info;
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
