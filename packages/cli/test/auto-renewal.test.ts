import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { errorRow, EXIT_CODES } from '@conclave/kernel';
import type { ProvenKey } from '@conclave/client';
import { createAdminKey, decodeCredentials, encodeCredentials, lifeShare } from '@conclave/client';
import { createRoot, issueCertificate } from '@conclave/pki';
import type { CreatedRoot } from '@conclave/pki';
import { MemoryContexts } from './support/memory-contexts.js';
import { clusterOf, NOW_MS } from './support/objects.js';
import { countingBytes, failure, runCommand } from './support/run-command.js';
import type { Outcome } from './support/run-command.js';

const LIFE_MS = 12 * 3_600_000;
const RANDOM = { bytes: (count: number) => countingBytes(count).fill(7), below: () => 0 };

let root: CreatedRoot;
let contexts: MemoryContexts;
/** Answers of `Identity.Renew`; an error is thrown. */
let renewal: ((key: ProvenKey) => unknown) | Error;

beforeAll(async () => {
  root = await createRoot({ clusterId: 'c1', now: NOW_MS - LIFE_MS, random: RANDOM });
});

function issue(publicKey: Uint8Array, beginMs: number): Promise<Uint8Array> {
  return issueCertificate({
    rootDer: root.certificateDer,
    rootPrivateKey: Uint8Array.from(root.privateKeyPkcs8),
    clusterId: 'c1',
    subject: { kind: 'admin', id: 'a1' },
    spkiDer: publicKey,
    serial: countingBytes(16).fill(1),
    notBefore: beginMs,
    notAfter: beginMs + LIFE_MS,
  });
}

/** A context whose certificate has this part of its life behind it. */
async function context(share: number): Promise<void> {
  contexts = new MemoryContexts();
  const { privateKey, proven } = createAdminKey('ann');
  const content = encodeCredentials({
    clusterId: 'c1',
    name: 'ann',
    roles: ['viewer'],
    addresses: ['10.0.0.5:7420'],
    certificateDer: await issue(proven.publicKey, NOW_MS - LIFE_MS * share),
    rootsDer: [root.certificateDer],
    privateKey,
  });
  await contexts.write('ann', content);
}

async function shareNow(): Promise<number> {
  return lifeShare(decodeCredentials(await contexts.read('ann')), NOW_MS);
}

beforeEach(() => {
  renewal = async ({ publicKey }) => ({
    certificate: await issue(publicKey, NOW_MS),
    rootCertificates: [root.certificateDer],
  });
});

function list(part: { env?: Record<string, string>; argv?: string[] } = {}): Promise<Outcome> {
  const { argv = ['--context', 'ann', 'secret', 'ls'], env = {} } = part;
  const answers = {
    'secrets.list': [],
    'cluster.status': clusterOf(),
    'admins.renew': renewal,
  };
  return runCommand(argv, { answers, contexts, env });
}

const methods = ({ calls }: Outcome): string[] => calls.map(({ method }) => method);

describe('a context whose certificate is past half of its life', () => {
  test('is renewed behind a command that has worked', async () => {
    await context(0.51);
    const done = await list();
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(methods(done)).toEqual(['secrets.list', 'cluster.status', 'admins.renew']);
    expect(await shareNow()).toBeCloseTo(0, 3);
    // The next command finds nothing to do.
    expect(methods(await list())).toEqual(['secrets.list']);
  });

  test('is left alone before that, by commands of this host, and when told so', async () => {
    await context(0.49);
    expect(methods(await list())).toEqual(['secrets.list']);
    await context(0.9);
    expect(methods(await list({ env: { CONCLAVE_RENEW: 'never' } }))).toEqual(['secrets.list']);
    expect(methods(await list({ argv: ['secret', 'ls'] }))).toEqual(['secrets.list']);
  });

  test('is left alone by a command that failed', async () => {
    await context(0.6);
    const argv = ['--context', 'ann', 'secret', 'rm', 'x', '--yes'];
    const answers = { 'secrets.remove': failure('CV_SECRET_NOT_FOUND') };
    const done = await runCommand(argv, { answers, contexts });
    expect(done.code).not.toBe(0);
    expect(methods(done)).toEqual(['secrets.remove']);
  });

  test('is left to the command that is at it already', async () => {
    await context(0.9);
    contexts.isBusy = true;
    const done = await list();
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(methods(done)).toEqual(['secrets.list']);
    const asked = await list({ argv: ['--context', 'ann', 'admin', 'renew'] });
    expect(asked.stderr).toContain('another command renews context ann just now');
    expect(asked.code).toBe(EXIT_CODES[errorRow('CV_CONTEXT_BUSY').kind]);
  });

  test('costs no command its success; late in its life a person is told', async () => {
    renewal = failure('CV_PEER_UNREACHABLE', 'nobody answers');
    await context(0.7);
    expect(await list()).toMatchObject({ code: 0, stderr: '' });
    expect(await shareNow()).toBeCloseTo(0.7, 3);
    await context(0.8);
    const late = await list();
    expect(late.code).toBe(0);
    expect(late.stderr).toBe(
      'warning: the certificate of context ann ends soon and was not renewed: nobody answers\n',
    );
  });
});
