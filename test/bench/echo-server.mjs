// A grpc-js server that answers what it is sent, without anything of ours: what calls cost at least.
//   node echo-server.mjs SOCKET
// oxlint-disable-next-line no-restricted-imports -- the peer of the comparison is grpc-js itself
import { Server, ServerCredentials } from '@grpc/grpc-js';

const asBytes = (bytes) => bytes;
const path = process.argv[2];
const server = new Server();
server.register(
  '/echo/Echo',
  (call, answer) => answer(null, call.request),
  asBytes,
  asBytes,
  'unary',
);
server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  process.stdout.write('ready\n');
});
// With whoever started it, however that one ended.
process.stdin.resume().once('close', () => {
  server.forceShutdown();
  process.exit(0);
});
