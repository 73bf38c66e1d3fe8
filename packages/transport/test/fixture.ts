import { randomBytes, randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { SILENT_LOGGER } from '@conclave/kernel';
import type { AdminRole, Clock, Random, Timers } from '@conclave/kernel';
import { createRoot, generateNodeKey, issueCertificate, toPem } from '@conclave/pki';
import type { CertificateIdentity, CertificateSubject, CreatedRoot } from '@conclave/pki';
import { loadWire } from '@conclave/wire';
import type { Services } from '@conclave/wire';
import { listenCluster, openChannel, ReplaceableIdentity, serve } from '../src/index.js';
import type {
  Authority,
  Channel,
  CurrentIdentity,
  Handlers,
  ListenClusterOptions,
  Listener,
  ServedService,
  TlsIdentity,
} from '../src/index.js';

export const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

export const timers: Timers = {
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  every: (periodMs, callback) => {
    const timer = setInterval(callback, periodMs);
    return { cancel: () => clearInterval(timer) };
  },
};

/** Timers that fire when the test says so; for listeners whose deadlines are minutes away. */
export class ManualTimers implements Timers {
  /** How many were set so far, those over and cancelled too. */
  started = 0;
  #now = 0;
  readonly #pending = new Map<{ cancel(): void }, { at: number; callback: () => void }>();

  after(delayMs: number, callback: () => void): { cancel(): void } {
    const handle = { cancel: () => void this.#pending.delete(handle) };
    this.started += 1;
    this.#pending.set(handle, { at: this.#now + delayMs, callback });
    return handle;
  }

  every(): never {
    throw new Error('not in use');
  }

  get count(): number {
    return this.#pending.size;
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const [handle, { at, callback }] of this.#pending) {
      if (at > this.#now || !this.#pending.delete(handle)) continue;
      callback();
    }
  }
}

export const random: Random = {
  bytes: (count) => new Uint8Array(randomBytes(count)),
  below: (limit) => randomInt(limit),
};

const HOUR_MS = 3_600_000;
export const CLUSTER_ID = 'testcluster';

/** Committed state as a map that tests change. */
export class FakeAuthority implements Authority {
  readonly known = new Map<string, CurrentIdentity>();
  /** Serials that records do not accept any more. */
  readonly replaced = new Set<string>();
  readonly #listeners = new Set<() => void>();

  currentIdentity(identity: CertificateIdentity): CurrentIdentity | undefined {
    const current = this.known.get(identity.id);
    const isReplaced = this.replaced.has(identity.serial);
    return current && isReplaced ? { ...current, isSerialCurrent: false } : current;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  isManagerAddress(): boolean {
    return false;
  }

  set(id: string, current: CurrentIdentity | undefined): void {
    if (current === undefined) this.known.delete(id);
    else this.known.set(id, current);
    this.look();
  }

  /** As the clock of the real one does now and then. */
  look(): void {
    for (const listener of this.#listeners) listener();
  }
}

export interface IssueOptions {
  readonly notBefore?: number;
  readonly notAfter?: number;
}

/** A certificate authority and committed state of one cluster. */
export class TestCluster {
  readonly clusterId: string;
  readonly root: CreatedRoot;
  readonly authority = new FakeAuthority();

  private constructor(clusterId: string, root: CreatedRoot) {
    this.clusterId = clusterId;
    this.root = root;
  }

  static async create(clusterId = CLUSTER_ID): Promise<TestCluster> {
    return new TestCluster(clusterId, await createRoot({ clusterId, now: clock.now(), random }));
  }

  async issue(subject: CertificateSubject, options: IssueOptions = {}): Promise<TlsIdentity> {
    const key = generateNodeKey();
    const certificate = await issueCertificate({
      rootDer: this.root.certificateDer,
      rootPrivateKey: this.root.privateKeyPkcs8,
      clusterId: this.clusterId,
      subject,
      spkiDer: key.spkiDer,
      serial: random.bytes(16),
      notBefore: options.notBefore ?? clock.now(),
      notAfter: options.notAfter ?? clock.now() + HOUR_MS,
    });
    return {
      certificatesDer: [certificate],
      privateKeyPem: key.privateKeyPem,
      rootsDer: [this.root.certificateDer],
    };
  }

  /** A node that committed state knows. */
  async node(role: 'manager' | 'worker', id: string, options?: IssueOptions): Promise<TlsIdentity> {
    const current = { kind: 'node', id, role, isActive: true, isSerialCurrent: true } as const;
    this.authority.set(id, current);
    return this.issue({ kind: 'node', role, id }, options);
  }

  /** An administrator that committed state knows. */
  async admin(id: string, ...adminRoles: AdminRole[]): Promise<TlsIdentity> {
    const roles = adminRoles.length === 0 ? (['admin'] as const) : adminRoles;
    const current = { kind: 'admin', id, isActive: true, isSerialCurrent: true } as const;
    this.authority.set(id, { ...current, adminRoles: roles });
    return this.issue({ kind: 'admin', id });
  }

  listen(
    identity: TlsIdentity,
    services: readonly ServedService[],
    other: Partial<ListenClusterOptions> = {},
  ): Promise<Listener> {
    return listenCluster({
      host: '127.0.0.1',
      port: 0,
      clusterId: this.clusterId,
      identity: new ReplaceableIdentity(identity),
      authority: this.authority,
      services,
      clock,
      timers,
      logger: SILENT_LOGGER,
      ...other,
    });
  }

  channel(listener: { readonly address: string }, identity: TlsIdentity): Channel {
    return openChannel({
      address: listener.address,
      identity: new ReplaceableIdentity(identity),
      expect: { clusterId: this.clusterId },
      clock,
      timers,
    });
  }
}

/** A service whose handlers are given in part; the others fail. */
export function partly<N extends keyof Services>(
  name: N,
  handlers: Partial<Handlers<Services[N]>>,
): ServedService {
  const service = loadWire()[name];
  const missing = (): never => {
    throw new Error('not in this test');
  };
  const all: Record<string, unknown> = {};
  for (const method of Object.keys(service)) {
    all[`${method.charAt(0).toLowerCase()}${method.slice(1)}`] = missing;
  }
  return serve(service, { ...all, ...handlers } as Handlers<Services[N]>);
}

/** What a promise rejects with; fails the test when it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`did not fail: ${JSON.stringify(value)}`);
}

/** The TLS side of a client that does as it likes. */
export function rawOptions(identity: TlsIdentity | undefined): ConnectionOptions {
  const pem = (der: Uint8Array): string => Buffer.from(toPem('CERTIFICATE', der)).toString();
  return {
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
    ...(identity === undefined
      ? {}
      : {
          cert: identity.certificatesDer.map(pem).join(''),
          key: Buffer.from(identity.privateKeyPem),
        }),
  };
}

/** Resolves when the socket is closed, by whomever; errors on the way do not matter. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => undefined);
    socket.resume();
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

/** Rejects when `promise` takes longer; for waiting without a fixed pause. */
export function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not within ${ms} ms`)), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
