import { delay, jitter } from '@conclave/kernel';
import type { Logger, Random, Timers } from '@conclave/kernel';
import { KeyRing, openFromRecipient } from '@conclave/sealed';
import type { CommandBody } from '@conclave/state';
import { loadWire } from '@conclave/wire';
import { ringContext } from './consensus/managers-service.js';
import type { ManagerKeys } from './keys/manager-keys.js';
import type { Peers } from './peers.js';

/** Milliseconds between two rounds of asking. */
const RETRY_MS = 400;
const CALL_MS = 5_000;

/** What receiving the ring takes. */
export interface RingReceiptOptions {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly keys: ManagerKeys;
  readonly peers: Peers;
  readonly commit: (body: CommandBody) => Promise<unknown>;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * A joining manager asks the others for the key ring until it has it, then says so in the log;
 * only after that it may become a voter. Safe to repeat after a restart at any point.
 */
export async function receiveRing(options: RingReceiptOptions): Promise<void> {
  const { keys, signal, timers, random, logger } = options;
  while (!signal.aborted) {
    try {
      if (keys.ring === undefined) await askAll(options);
      const generation = keys.requireRing().generation;
      await options.commit({
        kind: 'node.membership',
        id: options.nodeId,
        membership: undefined,
        ringGeneration: generation,
      });
      logger.info('ring.received', { generation });
      return;
    } catch (error) {
      logger.debug('ring.retry', { error });
      await delay(timers, jitter(random, RETRY_MS, 0.3), signal);
    }
  }
}

async function askAll(options: RingReceiptOptions): Promise<void> {
  let failure: unknown = new Error('no other manager is known');
  for (const { nodeId } of options.peers.list()) {
    try {
      const channel = options.peers.byNodeId(nodeId);
      if (channel === undefined) continue;
      const { sealedRing } = await channel.unary(
        loadWire().Managers.GetRing,
        {},
        { timeoutMs: CALL_MS, signal: options.signal },
      );
      const encoded = openFromRecipient({
        keyPair: options.keys.static,
        context: ringContext(options.clusterId, options.nodeId),
        sealed: sealedRing,
      });
      try {
        await options.keys.saveRing(KeyRing.decode(encoded));
      } finally {
        encoded.wipe();
      }
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
