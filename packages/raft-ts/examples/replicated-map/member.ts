import { randomInt } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { NetworkMessage, NodeId } from 'raft-ts';
import { decodeMessage, encodeMessage } from 'raft-ts/codec';
import { Node, type StateMachine } from 'raft-ts/node';
import { LogFile } from './log-file.js';

const SIZE_MAX = 64 * 1024 * 1024;
const [id, path, ...list] = [Number(process.argv[2]), ...process.argv.slice(3)];
const peers = new Map<NodeId, { host: string; port: number }>();
for (const [, peer, host, port] of list.map((one) => /^(\d+)=(.+):(\d+)$/.exec(one) ?? [])) {
  peers.set(Number(peer), { host: String(host), port: Number(port) });
}
const sockets = new Map<NodeId, Socket>();
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const ignore = (): void => undefined;

/** The replicated map. A snapshot of it is small enough to travel within a message. */
let map = new Map<string, string>();
let applied = 0;
const stateMachine: StateMachine = {
  async apply(entries) {
    for (const { data } of entries) map.set(...(JSON.parse(text(data)) as [string, string]));
    applied = entries.at(-1)?.index ?? applied;
    return entries.map(({ index }) => index);
  },
  async snapshot() {
    return { data: Buffer.from(JSON.stringify([...map])), index: applied };
  },
  async restore({ data, metadata }) {
    map = new Map(JSON.parse(text(data)) as [string, string][]);
    applied = metadata.index;
  },
};

/** The connection to a peer. A broken one is replaced when there is something to send. */
function socketTo(peer: NodeId): Socket | undefined {
  const address = peers.get(peer);
  const known = sockets.get(peer);
  if (address === undefined || known !== undefined) return known;
  const socket = connect({ ...address, noDelay: true }).on('error', ignore);
  socket.on('close', () => {
    sockets.delete(peer);
    node.reportUnreachable(peer);
  });
  sockets.set(peer, socket);
  return socket;
}

/** Raft repeats what is lost, so that nothing waits for a peer that is slow or down. */
function send(message: NetworkMessage): void {
  const done = (error?: unknown): void => {
    if (message.type !== 'MsgSnap') return;
    setImmediate(() => node.reportSnapshot(message.to, error ? 'failure' : 'finish'));
  };
  const socket = socketTo(message.to);
  if (socket === undefined || socket.writableLength > SIZE_MAX) done('not sent');
  else socket.write(`${Buffer.from(encodeMessage(message)).toString('base64')}\n`, done);
}

/** Answers `{"set":[key,value]}` and `{"get":key}`; every member answers reads. */
async function answer(json: string): Promise<object> {
  const request = JSON.parse(json) as { set: [unknown, unknown] } | { get: unknown };
  const signal = AbortSignal.timeout(5_000);
  if ('get' in request) {
    await node.linearizableRead({ signal });
    return { value: map.get(String(request.get)) ?? null };
  }
  // 'rejected': ask the leader. 'unknown': it may still come true, so do not blindly try again.
  const command = JSON.stringify([String(request.set[0]), String(request.set[1])]);
  const result = await node.propose(Buffer.from(command), { signal });
  return { ...result, leader: node.basicStatus().lead };
}

/** Lines: JSON from clients, base64 from peers. Nobody is authenticated, so trust the network. */
async function serve(socket: Socket): Promise<void> {
  for await (const line of createInterface({ input: socket.on('error', ignore) })) {
    if (!line.startsWith('{')) node.receive(decodeMessage(Buffer.from(line, 'base64')));
    else socket.write(`${JSON.stringify(await answer(line).catch(String))}\n`);
  }
}

const node = await Node.start({
  id,
  store: new LogFile(`${path}`),
  stateMachine,
  transport: { send: (messages) => messages.forEach(send) },
  clock: {
    now: () => performance.now(),
    setInterval(f, ms) {
      const timer = setInterval(f, ms);
      return { [Symbol.dispose]: () => clearInterval(timer) };
    },
  },
  random: (n) => randomInt(n),
  schedule: setImmediate,
  bootstrap: [...peers.keys()].map((peer) => ({ id: peer })),
  limits: { snapshotEntries: 200, keepEntries: 50, snapshotDescriptorSizeMax: SIZE_MAX },
});
void node.fatal.then((error) => Promise.reject(error)); // Ends the process; keep the file.
const server = createServer((socket) => void serve(socket).catch(() => socket.destroy()));
server.listen(peers.get(id), () => process.stdout.write(`${JSON.stringify(server.address())}\n`));
