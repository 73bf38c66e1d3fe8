import { connect } from 'node:net';
import { ConclaveError, isConclaveError } from '@conclave/kernel';
import type { ErrorCode, Random, Timers } from '@conclave/kernel';
import { DIAL_MS_MAX } from './limits.js';
import { isOpenBefore } from './retry.js';
import type { AttemptOptions, RpcPort, StreamMethod } from './port.js';

/** Answers after which another manager may do better: nothing was done, or writes carry a key. */
const ELSEWHERE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CV_CA_MISMATCH', // an address that now belongs to somebody else
  'CV_NOT_INITIALIZED',
  'CV_NO_LEADER', // cut off from the others
  'CV_PEER_UNREACHABLE',
  'CV_STATE_STALE',
  'CV_UNAUTHENTICATED', // has not heard of this administrator yet
]);

/** Arguments of {@link managersPort}. */
export interface ManagersPortOptions {
  /** Cluster addresses, at least one. */
  readonly addresses: readonly string[];
  readonly open: (address: string) => RpcPort;
  /** Called when nothing is opened any more. */
  readonly onClose: () => void;
  readonly timers: Timers;
  readonly random: Random;
}

/** Rejects unless something listens there: a channel by itself would wait for the deadline. */
function dial(address: string, timers: Timers): Promise<void> {
  const [, v6, name, port] = /^(?:\[(.*)\]|(.*)):(\d+)$/.exec(address) ?? [];
  return new Promise((resolve, reject) => {
    const socket = connect({ host: v6 ?? name ?? '', port: Number(port) });
    const end = (cause?: unknown): void => {
      timer.cancel();
      socket.destroy();
      if (cause === undefined) resolve();
      else reject(unreachable(address, cause));
    };
    const timer = timers.after(DIAL_MS_MAX, () => end('no answer'));
    socket.once('connect', () => end());
    socket.once('error', end);
  });
}

function unreachable(address: string, cause: unknown): ConclaveError {
  return new ConclaveError('CV_PEER_UNREACHABLE', `no manager answers at ${address}`, {
    hint: 'Check the address and the network, or renew the context: managers may have moved.',
    details: { address },
    cause,
  });
}

/** When no manager has the root of the context, it was most likely replaced. */
function asRootMatter(error: unknown): unknown {
  if (!isConclaveError(error) || error.code !== 'CV_CA_MISMATCH') return error;
  return new ConclaveError(error.code, error.message, {
    hint:
      'If the root of the cluster was rotated, this administrator has ended: remove the context, ' +
      'and on a manager run `conclave admin create NAME` again.',
    details: error.details,
    cause: error,
  });
}

/**
 * A way to whichever manager answers, beginning anywhere, so that administrators spread. Stays with
 * one until it fails, then tries each of the others once. A stream moves before its first item only.
 */
export function managersPort(options: ManagersPortOptions): RpcPort {
  return new ManagersPort(options);
}

class ManagersPort implements RpcPort {
  readonly #options: ManagersPortOptions;
  readonly #ports = new Map<string, RpcPort>();
  /** Addresses of managers that failed last time. */
  readonly #doubted = new Set<string>();
  #place: number;

  constructor(options: ManagersPortOptions) {
    this.#options = options;
    this.#place = options.random.below(options.addresses.length);
  }

  unary: RpcPort['unary'] = (method, request, options) =>
    this.#anywhere((port) => port.unary(method, request, options), options.idempotencyKey);

  each = (): readonly Promise<RpcPort>[] =>
    this.#options.addresses.map((address) => this.#portTo(address));

  close(): void {
    for (const port of this.#ports.values()) port.close();
    this.#ports.clear();
    this.#options.onClose();
  }

  async *stream<Request, Response>(
    method: StreamMethod<Request, Response>,
    request: Request,
    options: AttemptOptions,
  ): AsyncGenerator<Response, void, void> {
    const { items, first } = await this.#anywhere(async (port) => {
      const iterator = port.stream(method, request, options)[Symbol.asyncIterator]();
      return { items: iterator, first: await iterator.next() };
    });
    try {
      for (let item = first; item.done !== true; item = await items.next()) yield item.value;
    } finally {
      await items.return?.();
    }
  }

  async #anywhere<T>(attempt: (port: RpcPort) => Promise<T>, key?: string): Promise<T> {
    const { addresses } = this.#options;
    let failure: unknown;
    /** A write that a manager took and did not answer: what others say does not undo it. */
    let unanswered: ConclaveError | undefined;
    for (let count = 0; count < addresses.length; count += 1) {
      const address = addresses[this.#place] ?? '';
      let isSent = false;
      try {
        const port = await this.#portTo(address);
        isSent = key !== undefined;
        return await attempt(port);
      } catch (error) {
        if (!isConclaveError(error)) throw error;
        if (!ELSEWHERE.has(error.code)) throw isOpenBefore(error) ? (unanswered ?? error) : error;
        if (isSent && error.code === 'CV_PEER_UNREACHABLE') unanswered ??= error;
        // What a manager said tells more than that another one cannot be reached.
        if (failure === undefined || error.code !== 'CV_PEER_UNREACHABLE') failure = error;
        this.#leave(address);
      }
    }
    throw unanswered ?? asRootMatter(failure);
  }

  /**
   * Calls from now on go to the next manager. Those that are open on this one go on; before it is
   * asked again, it has to show that it is there.
   */
  #leave(address: string): void {
    this.#doubted.add(address);
    const { addresses } = this.#options;
    // Another call may have moved on from it already.
    if (addresses[this.#place] === address) this.#place = (this.#place + 1) % addresses.length;
  }

  async #portTo(address: string): Promise<RpcPort> {
    const { open, timers } = this.#options;
    const known = this.#ports.get(address);
    if (known !== undefined && !this.#doubted.has(address)) return known;
    await dial(address, timers);
    this.#doubted.delete(address);
    const port = this.#ports.get(address) ?? open(address);
    this.#ports.set(address, port);
    return port;
  }
}
