/** OpenSSL, as the command and inside a handshake, agrees with our own reading of the profile. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { managerName, toPem } from '../src/index.js';
import type { CertificateSubject, CreatedRoot } from '../src/index.js';
import { crooked } from './crooked.js';
import { ADMIN, CLUSTER, HOUR_MS, issue, MANAGER, newRoot, NOW, WORKER } from './support.js';
import type { Issued } from './support.js';

const directory = mkdtempSync(join(tmpdir(), 'conclave-pki-'));
let root: CreatedRoot;
let foreign: CreatedRoot;

beforeAll(async () => {
  root = await newRoot();
  foreign = await newRoot();
});
afterAll(() => rmSync(directory, { recursive: true }));

function save(name: string, der: Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, toPem('CERTIFICATE', der));
  return path;
}

/** True when `openssl verify` accepts the leaf under the strict rules. */
function opensslAccepts(leaf: Uint8Array, purpose: string, by: CreatedRoot = root): boolean {
  const rootPath = save('root.pem', by.certificateDer);
  const leafPath = save('leaf.pem', leaf);
  const flags = ['-x509_strict', '-check_ss_sig', '-purpose', purpose];
  const { status } = spawnSync('openssl', ['verify', ...flags, '-CAfile', rootPath, leafPath]);
  return status === 0;
}

describe('openssl verify', () => {
  test.each<[string, CertificateSubject, boolean]>([
    ['manager', MANAGER, true],
    ['worker', WORKER, false],
    ['admin', ADMIN, false],
  ])('a %s may be a client, and a server only as manager', async (_, subject, isServer) => {
    const { der } = await issue(root, subject);
    expect(opensslAccepts(der, 'sslclient')).toBe(true);
    expect(opensslAccepts(der, 'sslserver')).toBe(isServer);
  });

  test('a foreign root and an expired leaf are refused', async () => {
    const { der } = await issue(root, MANAGER);
    expect(opensslAccepts(der, 'sslclient', foreign)).toBe(false);
    const times = { notBefore: NOW - 2 * HOUR_MS, notAfter: NOW - HOUR_MS };
    const expired = await issue(root, MANAGER, times);
    expect(opensslAccepts(expired.der, 'sslclient')).toBe(false);
  });

  test('the root cannot speak for the names of another cluster', async () => {
    const names = { role: 'manager' as const, id: 'a', clusterId: 'other' };
    expect(opensslAccepts(await crooked(root, { names }), 'sslclient')).toBe(false);
    const worker = { ...names, role: 'worker' as const };
    expect(opensslAccepts(await crooked(root, { names: worker }), 'sslclient')).toBe(false);
    expect(opensslAccepts(await crooked(root, {}), 'sslclient')).toBe(true);
  });

  test('the marks of the profile are critical', async () => {
    const { der } = await issue(root, MANAGER);
    const print = (path: string): string =>
      execFileSync('openssl', ['x509', '-in', path, '-noout', '-text']).toString();
    const leaf = print(save('leaf.pem', der));
    expect(leaf).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(leaf).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    const top = print(save('root.pem', root.certificateDer));
    expect(top).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(top).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    expect(top).toMatch(/Name Constraints: critical\s+Permitted:\s+DNS:\S+\.internal\s+URI:\S+\n/);
    expect(top).toContain('ecdsa-with-SHA384');
  });
});

interface Handshake {
  readonly server: Issued;
  readonly client?: Issued;
  readonly serverRoot?: CreatedRoot;
  readonly clientRoot?: CreatedRoot;
  readonly name?: string;
}

function credentials(
  issued: Issued | undefined,
  trust: CreatedRoot,
): { key?: Buffer; cert?: Buffer; ca: Buffer } {
  const ca = Buffer.from(toPem('CERTIFICATE', trust.certificateDer));
  if (issued === undefined) return { ca };
  const cert = Buffer.from(toPem('CERTIFICATE', issued.der));
  return { key: Buffer.from(issued.key.privateKeyPem), cert, ca };
}

/** What both ends say of a mutual handshake over the loopback; errors by their code. */
function shake(options: Handshake): Promise<string> {
  const { server, client, serverRoot = root, clientRoot = root } = options;
  const tls13 = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;
  const listener = createServer({
    ...tls13,
    ...credentials(server, serverRoot),
    requestCert: true,
    rejectUnauthorized: true,
  });
  return new Promise((resolve) => {
    let socket: TLSSocket | undefined;
    const finish = (outcome: string): void => {
      socket?.destroy();
      listener.close(() => resolve(outcome));
    };
    const codeOf = (error: Error): string => String((error as { code?: unknown }).code);
    listener.on('tlsClientError', (error, refused) => {
      refused.destroy();
      // Node closes the connection itself then, and keeps the reason here.
      const reason: unknown = refused.authorizationError;
      finish(`server: ${typeof reason === 'string' ? reason : codeOf(error)}`);
    });
    listener.on('secureConnection', (accepted) => {
      accepted.on('error', () => undefined);
      finish(`${accepted.getProtocol()} ${accepted.getPeerCertificate().subject.OU}`);
    });
    listener.listen(0, '127.0.0.1', () => {
      socket = connect({
        ...tls13,
        ...credentials(client, clientRoot),
        host: '127.0.0.1',
        port: (listener.address() as AddressInfo).port,
        servername: options.name ?? managerName(CLUSTER),
      });
      socket.on('error', (error: Error) => {
        const code = codeOf(error);
        // When the server refuses, its own reason is the outcome.
        if (!code.startsWith('ERR_SSL') && code !== 'ECONNRESET') finish(`client: ${code}`);
      });
    });
  });
}

describe('mutual TLS 1.3', () => {
  test('managers, workers and admins are let in', async () => {
    const server = await issue(root, MANAGER);
    for (const subject of [MANAGER, WORKER, ADMIN]) {
      const client = await issue(root, subject);
      const role = subject.kind === 'admin' ? 'admin' : subject.role;
      expect(await shake({ server, client })).toBe(`TLSv1.3 ${role}`);
    }
  });

  test('a client without a certificate is refused', async () => {
    const server = await issue(root, MANAGER);
    expect(await shake({ server })).toBe('server: ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE');
  });

  test('a client of a foreign root is refused', async () => {
    const server = await issue(root, MANAGER);
    const client = await issue(foreign, WORKER);
    expect(await shake({ server, client })).toBe('server: UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  });

  test('an expired client is refused', async () => {
    const server = await issue(root, MANAGER);
    const times = { notBefore: NOW - 2 * HOUR_MS, notAfter: NOW - HOUR_MS };
    const client = await issue(root, WORKER, times);
    expect(await shake({ server, client })).toBe('server: CERT_HAS_EXPIRED');
  });

  test('a worker cannot pose as a manager: no such name, no such usage', async () => {
    const server = await issue(root, WORKER);
    const client = await issue(root, WORKER);
    expect(await shake({ server, client })).toBe('client: INVALID_PURPOSE');
  });

  test('a manager of a foreign root is refused', async () => {
    const server = await issue(foreign, MANAGER);
    const client = await issue(root, WORKER);
    expect(await shake({ server, client, serverRoot: root })).toBe(
      'client: UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    );
  });

  test('a manager of another cluster is refused by its name', async () => {
    const other = await newRoot('other');
    const server = await issue(other, MANAGER, { clusterId: 'other' });
    const client = await issue(root, WORKER);
    const outcome = await shake({ server, client, clientRoot: other });
    expect(outcome).toBe('client: ERR_TLS_CERT_ALTNAME_INVALID');
  });
});
