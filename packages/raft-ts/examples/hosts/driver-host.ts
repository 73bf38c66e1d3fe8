import { randomInt } from 'node:crypto';
import { Node } from 'raft-ts/node';
import type { Clock, LogStore, StateMachine, Transport } from 'raft-ts/node';

/** The clock and the timers of Node.js. */
const clock: Clock = {
  now: () => performance.now(),
  setInterval(f, ms) {
    const timer = setInterval(f, ms);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  },
};

/** What the application brings along. */
export interface Parts {
  readonly id: number;
  /** The voters of a new cluster, the same on each of them; empty: it joins a cluster. */
  readonly voters: readonly number[];
  readonly store: LogStore;
  readonly stateMachine: StateMachine;
  readonly transport: Transport;
}

/** Starts a member. Give what arrives from others to `node.receive`. */
export async function startMember({ id, voters, ...parts }: Parts): Promise<Node> {
  const node = await Node.start({
    id,
    ...parts,
    clock,
    random: (n) => randomInt(n),
    schedule: setImmediate,
    ...(voters.length > 0 && { bootstrap: voters.map((voter) => ({ id: voter })) }),
  });
  // The disk or the state machine failed, or an invariant was violated: nothing goes on here.
  void node.fatal.then((error) => Promise.reject(error));
  return node;
}

/** Writes a command; for commands that may safely be applied twice. */
export async function write(node: Node, command: Uint8Array): Promise<unknown> {
  const result = await node.propose(command, { signal: AbortSignal.timeout(5_000) });
  switch (result.outcome) {
    case 'applied':
      return result.value;
    case 'rejected': // Certainly not in the log. Most likely another member leads.
      throw new Error(`${result.reason}; ask member ${node.basicStatus().lead}`);
    case 'unknown': // It may still be applied, at any later time.
      throw new Error(`nobody knows: ${result.reason}`);
  }
}

// #region read
/** Reads what contains every write that was acknowledged before, on any member. */
export async function read<T>(node: Node, query: () => T): Promise<T> {
  await node.linearizableRead({ signal: AbortSignal.timeout(5_000) });
  return query();
}
// #endregion
