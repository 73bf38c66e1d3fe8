// A cluster with the driver in one process: logs in memory, messages handed over in the next turn
// of the event loop.
import { randomInt } from 'node:crypto';
import { Node } from 'raft-ts/node';

const clock = {
  now: () => performance.now(),
  setInterval(f, ms) {
    const timer = setInterval(() => f(), ms);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  },
};

/** A log that is durable at once. It is never read back here, so that only its cost matters. */
const memoryStore = () => ({
  load: async () => ({ hardState: undefined, snapshot: undefined, entries: [] }),
  write: async () => {},
  compact: async () => {},
});

const machine = () => {
  let index = 0;
  return {
    async apply(entries) {
      index = entries.at(-1)?.index ?? index;
      return entries.map(() => undefined);
    },
    snapshot: async () => ({ data: new Uint8Array(0), index }),
    restore: async () => {},
  };
};

/** @returns `propose`, which resolves when the leader has applied the command, and `stop` */
export async function start(size) {
  const ids = Array.from({ length: size }, (_, i) => i + 1);
  const nodes = new Map();
  let queue = [];
  const deliver = () => {
    const messages = queue;
    queue = [];
    for (const message of messages) nodes.get(message.to)?.receive(message);
  };
  const transport = {
    send(messages) {
      if (queue.length === 0) setImmediate(deliver);
      queue.push(...messages);
    },
  };
  for (const id of ids) {
    const node = await Node.start({
      id,
      store: memoryStore(),
      stateMachine: machine(),
      transport,
      clock,
      random: (n) => randomInt(n),
      schedule: setImmediate,
      bootstrap: ids.map((peer) => ({ id: peer })),
    });
    nodes.set(id, node);
  }
  const leader = nodes.get(1);
  leader.campaign();
  await leader.linearizableRead();
  return {
    isConcurrent: true,
    async propose(command) {
      const { outcome, reason } = await leader.propose(command);
      if (outcome !== 'applied') throw new Error(`${outcome}: ${reason}`);
    },
    stop: () => Promise.all([...nodes.values()].map((node) => node.stop())),
  };
}
