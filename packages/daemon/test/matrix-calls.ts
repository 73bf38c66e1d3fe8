import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { loadWire } from '@conclave/wire';
import type { AnyMethod } from '@conclave/wire';

/** Every method of the product. */
export const METHODS: readonly AnyMethod[] = Object.values(loadWire()).flatMap((service) =>
  Object.values(service as Record<string, AnyMethod>),
);

/** Methods that are not there. */
export const ABSENT: readonly string[] = [
  '/conclave.v1.Secrets/Reveal',
  '/conclave.v1.Cluster/getinfo',
  '/conclave.v1.Unknown/Call',
  '/grpc.health.v1.Health/Check',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.channelz.v1.Channelz/GetServers',
];

/** The last call of an identity, because it ends it. */
export const LEAVE = '/conclave.v1.Identity/Leave';

/** Every method, and the absent ones. */
export const PATHS: readonly string[] = [
  ...METHODS.map(({ path }) => path).filter((path) => path !== LEAVE),
  ...ABSENT,
  LEAVE,
];

/** Calls that an empty message would make last, or make do something: they get a wrong one. */
const WRONG: Readonly<Record<string, Uint8Array>> = {
  '/conclave.v1.Cluster/Watch': loadWire().Cluster.Watch.encodeRequest({ kinds: ['none'] }),
  '/conclave.v1.Cluster/RotateRing': Buffer.of(0xff),
};

function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** How a call ended: gRPC status and words; `undefined` when no answer came at all. */
export interface Answer {
  readonly status: number | undefined;
  readonly message: string;
}

const NO_ANSWER: Answer = { status: undefined, message: '' };

/** A raw HTTP/2 session over `socket`; its errors show in the answers. */
export function openSession(socket: Socket): ClientHttp2Session {
  const session = connectHttp2('https://x', { createConnection: () => socket });
  socket.on('error', () => undefined);
  session.on('error', () => undefined);
  return session;
}

/** What a call says besides its path. */
export interface CallParts {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** By default an empty one, which does nothing, or one that cannot be read. */
  readonly message?: Uint8Array;
}

/** One call of `path`. */
export function attempt(
  session: ClientHttp2Session,
  path: string,
  { headers = {}, message = WRONG[path] ?? new Uint8Array(0) }: CallParts = {},
): Promise<Answer> {
  return new Promise((resolve) => {
    if (session.destroyed) {
      resolve(NO_ANSWER);
      return;
    }
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const heads: Record<string, unknown> = {};
    const take = (received: object): void => void Object.assign(heads, received);
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('error', () => undefined);
    stream.once('data', () => {
      heads['grpc-status'] ??= '0';
    });
    stream.resume();
    stream.once('close', () => resolve(answerOf(heads)));
    stream.end(framed(message));
  });
}

function answerOf(heads: Readonly<Record<string, unknown>>): Answer {
  const { 'grpc-status': status, 'grpc-message': message = '' } = heads;
  if (status === undefined) return NO_ANSWER;
  return { status: Number(status), message: decodeURIComponent(String(message)) };
}
