import { beforeAll, describe, expect, test } from '@jest/globals';
import { createRoot, encodeAdminTranscript, issueCertificate, verifyKeyProof } from '@conclave/pki';
import { SecretBytes } from '@conclave/sealed';
import {
  certificateOf,
  connectRemote,
  createAdminKey,
  CREDENTIALS_BYTES_MAX,
  decodeCredentials,
  decodeRequest,
  encodeCredentials,
  encodeGrant,
  encodeRequest,
} from '../src/index.js';
import type { AdminCredentials } from '../src/index.js';

const NOW_MS = Date.UTC(2026, 0, 1);
const random = { bytes: (count: number) => new Uint8Array(count).fill(5), below: () => 0 };
const clock = { now: () => NOW_MS, monotonic: () => 0 };
const timers = { after: () => ({ cancel: () => undefined }), every: (): never => never() };
const never = (): never => {
  throw new Error('not in use');
};

let credentials: AdminCredentials;
beforeAll(async () => {
  const root = await createRoot({ clusterId: 'c', now: NOW_MS, random });
  const { privateKey, proven } = createAdminKey('ann');
  const { publicKey, proof } = proven;
  expect(verifyKeyProof(publicKey, encodeAdminTranscript('ann', publicKey), proof)).toBe(true);
  expect(verifyKeyProof(publicKey, encodeAdminTranscript('bob', publicKey), proof)).toBe(false);
  const certificateDer = await issueCertificate({
    rootDer: root.certificateDer,
    rootPrivateKey: root.privateKeyPkcs8,
    clusterId: 'c',
    subject: { kind: 'admin', id: 'a1' },
    spkiDer: publicKey,
    serial: random.bytes(16),
    notBefore: NOW_MS,
    notAfter: NOW_MS + 60_000,
  });
  credentials = {
    clusterId: 'c',
    name: 'ann',
    roles: ['viewer'],
    addresses: ['10.0.0.5:7420'],
    certificateDer,
    rootsDer: [root.certificateDer],
    privateKey,
  };
});

const text = (bytes: SecretBytes): string => bytes.use((view) => new TextDecoder().decode(view));
const bytes = (content: string): SecretBytes => SecretBytes.take(new TextEncoder().encode(content));
const expectInvalid = (read: () => unknown): void => {
  expect(read).toThrow(expect.objectContaining({ code: 'CV_CONTEXT_INVALID' }));
};
const changed = (fields: object): string => {
  const [line = '', ...rest] = text(encodeCredentials(credentials)).split('\n');
  return [JSON.stringify({ ...(JSON.parse(line) as object), ...fields }), ...rest].join('\n');
};

describe('credentials', () => {
  test('come back as they were written', () => {
    const read = decodeCredentials(encodeCredentials(credentials));
    expect({ ...read, privateKey: '' }).toEqual({ ...credentials, privateKey: '' });
    expect(read.privateKey.equals(credentials.privateKey)).toBe(true);
    expect(certificateOf(read)).toMatchObject({ kind: 'admin', id: 'a1' });
  });

  test.each<[string, () => string]>([
    ['nothing', () => ''],
    ['no line', () => 'x'],
    ['no JSON', () => 'x\ny'],
    ['JSON of something else', () => 'null\ny'],
    ['a newer format', () => changed({ format: 2 })],
    ['no addresses', () => changed({ addresses: 'x' })],
    ['an empty address', () => changed({ addresses: [''] })],
    ['the certificate of another cluster', () => changed({ clusterId: 'd' })],
    ['no certificate', () => changed({ certificate: 'AAAA' })],
    ['no key', () => changed({}).split('-----')[0] ?? ''],
    ['a torn key', () => changed({}).slice(0, -40)],
    ['more than fits', () => `${changed({})}${' '.repeat(CREDENTIALS_BYTES_MAX)}`],
  ])('with %s are refused', (_what, content) => {
    const held = bytes(content());
    expect(() => decodeCredentials(held)).toThrow(
      expect.objectContaining({ code: 'CV_CONTEXT_INVALID' }),
    );
  });

  test('come together from the public part and the key that was made for it', () => {
    const grant = encodeGrant(credentials);
    expect(grant).not.toContain('PRIVATE');
    const read = decodeCredentials(bytes(grant), credentials.privateKey);
    expect(read.privateKey.equals(credentials.privateKey)).toBe(true);
    expectInvalid(() => decodeCredentials(bytes(grant)));
    const other = createAdminKey('ann').privateKey;
    expectInvalid(() => decodeCredentials(bytes(grant), other));
    const swapped = encodeCredentials({ ...credentials, privateKey: other });
    expectInvalid(() => decodeCredentials(swapped));
  });

  test('are asked for with a request that has no secret', () => {
    const { privateKey, proven } = createAdminKey('ann');
    const request = encodeRequest(proven);
    expect(decodeRequest(request)).toEqual(proven);
    const secret = text(privateKey).split('\n')[1] ?? '';
    expect(request).not.toContain(secret.slice(0, 40));
    for (const other of ['', 'x', 'null', '[]', '{"format":2}', 'x'.repeat(5_000)]) {
      expect(() => decodeRequest(other)).toThrow(
        expect.objectContaining({ code: 'CV_ARGUMENT_INVALID' }),
      );
    }
  });

  // Attack row M09: fields are taken one by one, what else stands there is not.
  test('with names that mean something to the engine change nothing and are nothing', () => {
    const line = changed({});
    for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'then']) {
      const forged = line.replace('{', `{"${name}":{"polluted":true,"name":"root"},`);
      const read = decodeCredentials(bytes(forged));
      expect(Object.keys(read).sort()).toEqual(Object.keys(credentials).sort());
      expect(read.name).toBe('ann');
      expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
    }
    const hidden = JSON.stringify({ ...(JSON.parse(line.split('\n')[0] ?? '') as object) });
    expectInvalid(() => decodeCredentials(bytes(`{"__proto__":${hidden}}\n`)));
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('that expired or name no manager connect to nobody', () => {
    const late = { now: () => NOW_MS + 60_001, monotonic: () => 0 };
    const around = { credentials, timers, random };
    expect(() => connectRemote({ ...around, clock: late })).toThrow(
      expect.objectContaining({ code: 'CV_CERTIFICATE_EXPIRED' }),
    );
    const nowhere = { ...credentials, addresses: [] };
    expect(() => connectRemote({ ...around, clock, credentials: nowhere })).toThrow(
      expect.objectContaining({ code: 'CV_CONTEXT_INVALID' }),
    );
  });
});
