import type { ClientHttp2Session } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createRoot, issueCertificate, generateNodeKey, toPem } from '@conclave/pki';
import { ADMIN_ROLES } from '@conclave/kernel';
import { AUTHORISATION } from '@conclave/transport';
import type { Caller, ListenerKind, TlsIdentity } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import { ABSENT, attempt, LEAVE, METHODS, openSession, PATHS } from './matrix-calls.js';
import type { Answer } from './matrix-calls.js';
import { SYSTEM_CLOCK, SYSTEM_RANDOM } from '../src/platform.js';
import { PURPOSE_BYTE, resigned, withPurpose } from './other-certificates.js';
import { nodeIdOf, RealManager, serialOf } from './real-manager.js';

// Attack rows A01, A03, A13 and A19. Some 5 000 calls over real sockets, on a machine that may be busy.
jest.setTimeout(240_000);

/** How a call ends, as its caller sees it. */
type Verdict = 'served' | 'forbidden' | 'unauthenticated' | 'unknown method' | 'no connection';

/** What an identity is, by the policy. */
type Standing = Caller | readonly Caller[] | 'unauthenticated' | 'forbidden' | 'no connection';

interface Identity {
  readonly name: string;
  readonly tls: TlsIdentity | undefined;
  /** On the cluster listener. The join listener asks nobody who it is. */
  readonly standing: Standing;
  readonly headers?: Readonly<Record<string, string>>;
}

const HOUR_MS = 3_600_000;
/** What a peer may claim in vain: nobody speaks for somebody else. */
const FORGED = 'worker that was certified as manager with its serial';
const FORWARDING = { 'conclave-forwarded-for': 'admin:local' };

const RATION_WORDS = 'this caller makes too many calls';
const GATE_WORDS = new Set([
  'this identity may not make this call',
  'this host waits for approval',
]);

function verdictOf({ status, message }: Answer): Verdict {
  switch (status) {
    case undefined:
      return 'no connection';
    case 12:
      return 'unknown method';
    case 16:
      return 'unauthenticated';
    case 7:
      // The words of the gate: a handler may forbid something too, when it was reached.
      return GATE_WORDS.has(message) ? 'forbidden' : 'served';
    default:
      return 'served';
  }
}

function expectedOf(listener: ListenerKind, path: string, standing: Standing): Verdict {
  if (standing === 'no connection') return standing;
  const row = AUTHORISATION[path]?.[listener];
  if (row === undefined) return 'unknown method';
  if (standing === 'unauthenticated') return standing;
  // The entry that takes a worker out ends this very call; that it was written is looked at below.
  if (path === LEAVE && standing === 'worker') return 'unauthenticated';
  if (standing === 'forbidden') return standing;
  const callers: readonly Caller[] = typeof standing === 'string' ? [standing] : standing;
  return callers.some((caller) => row.includes(caller)) ? 'served' : 'forbidden';
}

let manager: RealManager;
let identities: readonly Identity[];
const sessions = new Set<ClientHttp2Session>();
let size = 0;

beforeAll(async () => {
  manager = await RealManager.start();
  identities = await makeIdentities(manager);
});

afterAll(async () => {
  for (const session of sessions) session.destroy();
  await manager.close();
  process.stderr.write(`authorisation matrix: ${size} calls\n`);
});

async function makeIdentities(real: RealManager): Promise<readonly Identity[]> {
  const { clusterId } = real;
  const [worker, other, forger, demoted, removed, second, third] = [
    await real.join('worker'),
    await real.join('worker'),
    await real.join('worker'),
    await real.join('manager'),
    await real.join('worker'),
    await real.join('manager'),
    await real.join('worker'),
  ];
  await real.admin.unary(loadWire().Nodes.SetRole, { node: demoted.nodeId, role: 'worker' });
  await real.admin.unary(loadWire().Nodes.Remove, { node: removed.nodeId, force: true });
  const admins = await Promise.all(ADMIN_ROLES.map((role) => real.administrator(role, [role])));
  const both = await real.administrator('both', ['viewer', 'secret-writer']);
  const revoked = await real.administrator('revoked', ['admin']);
  await real.admin.unary(loadWire().Admins.Revoke, { admin: 'revoked' });
  const now = SYSTEM_CLOCK.now();
  const named = {
    subject: { kind: 'node', role: 'worker', id: third.nodeId },
    serial: serialOf(third.tls),
  } as const;
  const asManager = { ...named.subject, role: 'manager' } as const;
  const thirdDer = third.tls.certificatesDer[0] ?? new Uint8Array(0);
  const { privateKeyPem } = third.tls;
  const sameNames = await createRoot({ clusterId, now, random: SYSTEM_RANDOM });
  const elsewhere = await createRoot({ clusterId: 'othercluster', now, random: SYSTEM_RANDOM });
  const issuedBy = async (
    root: typeof sameNames,
    cluster: string,
    role: 'manager' | 'worker',
  ): Promise<TlsIdentity> => {
    const key = generateNodeKey();
    const der = await issueCertificate({
      rootDer: root.certificateDer,
      rootPrivateKey: root.privateKeyPkcs8,
      clusterId: cluster,
      subject: { ...named.subject, role },
      spkiDer: key.spkiDer,
      serial: Buffer.from(named.serial, 'hex'),
      notBefore: now,
      notAfter: now + HOUR_MS,
    });
    return real.present(der, key.privateKeyPem);
  };
  const repurposed = (purpose: number): Promise<TlsIdentity> =>
    real.withRootKey((key) =>
      Promise.resolve(real.present(resigned(thirdDer, key, withPurpose(purpose)), privateKeyPem)),
    );
  const ownKeyOfRoot = toPem('PRIVATE KEY', sameNames.privateKeyPkcs8);
  return [
    { name: 'nobody', tls: undefined, standing: 'no connection' },
    {
      name: 'self-signed with the right names',
      tls: real.present(sameNames.certificateDer, ownKeyOfRoot),
      standing: 'no connection',
    },
    {
      name: 'right names under a foreign root',
      tls: await issuedBy(sameNames, clusterId, 'manager'),
      standing: 'no connection',
    },
    {
      name: 'right names and issuer, wrong signature',
      tls: real.present(resigned(thirdDer, sameNames.privateKeyPkcs8), privateKeyPem),
      standing: 'no connection',
    },
    {
      name: "another cluster's manager",
      tls: await issuedBy(elsewhere, 'othercluster', 'manager'),
      standing: 'no connection',
    },
    {
      name: 'expired',
      tls: await real.certify({ ...named, notBefore: now - HOUR_MS, notAfter: now - 1_000 }),
      standing: 'no connection',
    },
    {
      name: 'not yet valid',
      tls: await real.certify({ ...named, notBefore: now + HOUR_MS, notAfter: now + 2 * HOUR_MS }),
      standing: 'no connection',
    },
    {
      name: 'for servers only',
      tls: await repurposed(PURPOSE_BYTE.server),
      standing: 'no connection',
    },
    {
      name: 'for signing code',
      tls: await repurposed(PURPOSE_BYTE.code),
      standing: 'no connection',
    },
    { name: 'removed', tls: removed.tls, standing: 'unauthenticated' },
    {
      name: 'replaced certificate',
      tls: await real.certify({ ...named, serial: '01'.repeat(16) }),
      standing: 'unauthenticated',
    },
    {
      name: 'unknown node',
      tls: await real.certify({ ...named, subject: { ...asManager, id: 'unknown' } }),
      standing: 'unauthenticated',
    },
    {
      name: 'unknown administrator',
      tls: await real.certify({ ...named, subject: { kind: 'admin', id: 'ann' } }),
      standing: 'unauthenticated',
    },
    {
      name: 'administrator named like a worker, with its serial',
      tls: await real.certify({ ...named, subject: { kind: 'admin', id: third.nodeId } }),
      standing: 'unauthenticated',
    },
    {
      name: 'demoted, with the certificate it had as manager',
      tls: demoted.tls,
      standing: 'worker',
    },
    {
      // With a key of the root: the serial is on record, for a key that the forger does not have.
      name: FORGED,
      tls: await real.certify({
        subject: { ...asManager, id: forger.nodeId },
        serial: serialOf(forger.tls),
      }),
      standing: 'unauthenticated',
    },
    // Joined with tokens that ask for approval: all that leaked tokens of this kind are worth.
    {
      name: 'manager that nobody has approved',
      tls: (await real.join('manager', true)).tls,
      standing: 'forbidden',
    },
    {
      name: 'worker that nobody has approved',
      tls: (await real.join('worker', true)).tls,
      standing: 'forbidden',
    },
    { name: 'revoked administrator', tls: revoked, standing: 'unauthenticated' },
    {
      name: 'expired administrator',
      tls: await real.certify({
        subject: { kind: 'admin', id: nodeIdOf(both) },
        serial: serialOf(both),
        notBefore: now - HOUR_MS,
        notAfter: now - 1_000,
      }),
      standing: 'no connection',
    },
    ...admins.map((tls, place) => {
      const role = ADMIN_ROLES[place] ?? 'viewer';
      return { name: `administrator: ${role}`, tls, standing: role };
    }),
    { name: 'administrator of two roles', tls: both, standing: ['viewer', 'secret-writer'] },
    { name: 'worker', tls: worker.tls, standing: 'worker' },
    { name: 'other worker', tls: other.tls, standing: 'worker' },
    {
      name: 'worker that speaks for an administrator',
      tls: third.tls,
      standing: 'worker',
      headers: FORWARDING,
    },
    { name: 'manager', tls: second.tls, standing: 'manager' },
    {
      name: 'manager that speaks for an administrator',
      tls: second.tls,
      standing: 'manager',
      headers: FORWARDING,
    },
  ];
}

type Place = ConnectionOptions & { readonly localAddress: string };

function tlsOptions(
  port: number,
  { number, part }: { readonly number: number; readonly part: number },
  tls: TlsIdentity | undefined,
): Place {
  return {
    host: manager.host,
    port,
    // Each from addresses of its own, so that the rate of one address is not what refuses it.
    localAddress: `127.0.${part + 1}.${number + 1}`,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
    ...(tls === undefined
      ? {}
      : {
          cert: Buffer.concat(tls.certificatesDer.map((der) => toPem('CERTIFICATE', der))),
          key: Buffer.from(tls.privateKeyPem),
        }),
  };
}

function open(options: ConnectionOptions | string): ClientHttp2Session {
  const socket = typeof options === 'string' ? connectTcp(options) : connectTls(options);
  const session = openSession(socket);
  session.once('close', () => sessions.delete(session));
  sessions.add(session);
  return session;
}

/** One call of each path: over one connection, or each over its own where none lasts. */
/** Calls over one connection: fewer than one address may make at once without a certificate. */
const PART_COUNT = 30;
/** Milliseconds between two attempts of a call for which its caller has no ration left. */
const RATION_MS = 1_000;

/** The answer to a call that was let in, however long that takes. */
async function rationed(...call: Parameters<typeof attempt>): Promise<Answer> {
  for (;;) {
    const answer = await attempt(...call);
    if (answer.message !== RATION_WORDS) return answer;
    await new Promise((resolve) => setTimeout(resolve, RATION_MS));
  }
}

async function rowOf(
  connect: (part: number) => ClientHttp2Session,
  headers: Readonly<Record<string, string>> | undefined,
): Promise<Record<string, Verdict>> {
  const row: Record<string, Verdict> = {};
  let session: ClientHttp2Session | undefined;
  for (const [number, path] of PATHS.entries()) {
    if (number % PART_COUNT === 0 || session === undefined) {
      session?.destroy();
      session = connect(Math.floor(number / PART_COUNT));
    }
    row[path] = verdictOf(await rationed(session, path, { headers }));
    size += 1;
    if (row[path] !== 'no connection') continue;
    session.destroy();
    session = undefined;
  }
  session?.destroy();
  return row;
}

function expectedRow(listener: ListenerKind, standing: Standing): Record<string, Verdict> {
  return Object.fromEntries(PATHS.map((path) => [path, expectedOf(listener, path, standing)]));
}

describe('who may call what on a real manager', () => {
  test('the table has a row for every method', () => {
    expect(METHODS.map(({ path }) => path).filter((path) => !(path in AUTHORISATION))).toEqual([]);
    for (const path of ABSENT) expect(AUTHORISATION).not.toHaveProperty([path]);
  });

  test('the join listener asks nobody who it is, and serves the join service only', async () => {
    for (const [number, { name, tls, headers }] of identities.entries()) {
      const row = await rowOf(
        (part) => open(tlsOptions(manager.joinPort, { number, part }, tls)),
        headers,
      );
      expect({ name, row }).toEqual({ name, row: expectedRow('join', 'anonymous') });
    }
  });

  // Attack row A07. The answer is made before anything of the message is read.
  test('who may not call learns nothing from what he asks for', async () => {
    const { Get: get, Rollback: rollback } = loadWire().Secrets;
    const { id, name } = await manager.secret('known');
    const messages = [id, name, 'unknown'].map((secret) => get.encodeRequest({ secret }));
    const outsiders = ['worker', 'manager', 'worker that nobody has approved'];
    for (const [number, { tls }] of identities
      .filter((identity) => outsiders.includes(identity.name))
      .entries()) {
      const session = open(tlsOptions(manager.clusterPort, { number, part: 9 }, tls));
      for (const { path } of [get, rollback]) {
        const answers: Answer[] = [];
        for (const message of [...messages, Buffer.of(0xff)]) {
          answers.push(await attempt(session, path, { message }));
        }
        const [first] = answers;
        expect(GATE_WORDS).toContain(first?.message);
        expect(answers).toEqual(answers.map(() => first));
      }
      session.destroy();
    }
  });

  test('the cluster listener: by committed state, for each call', async () => {
    for (const [number, { name, tls, standing, headers }] of identities.entries()) {
      const row = await rowOf(
        (part) => open(tlsOptions(manager.clusterPort, { number, part }, tls)),
        headers,
      );
      expect({ name, row }).toEqual({ name, row: expectedRow('cluster', standing) });
    }
  });

  test('of all calls, those by which workers leave had an effect', async () => {
    const left: string[] = [];
    const nodes = manager.admin.serverStream(loadWire().Nodes.List, {});
    for await (const page of nodes) left.push(...page.nodes.map(({ id }) => id));
    const stayed = identities.filter(
      ({ name, standing }) =>
        name.startsWith('manager') || name === FORGED || standing === 'forbidden',
    );
    const ids = stayed.flatMap(({ tls }) => (tls === undefined ? [] : [nodeIdOf(tls)]));
    expect(left.sort()).toEqual([...new Set([...ids, nodeIdOf(manager.identity)])].sort());
  });

  test('the socket of the host: its administrator, who speaks for himself', async () => {
    const own = await rowOf(() => open(manager.socketPath), undefined);
    expect(own).toEqual(expectedRow('local', 'local'));
    const forwarding = await rowOf(() => open(manager.socketPath), FORWARDING);
    expect(forwarding).toEqual(expectedRow('local', 'local'));
  });
});
