import { beforeAll, describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import { KeyRing, openSealed, SecretBytes } from '@conclave/sealed';
import { intakeContext } from '../src/index.js';
import { collect, countingRandom, failing, stage } from './support/fake-port.js';
import type { Stage } from './support/fake-port.js';

const MARKER = 'MARKER-5f3d-value-in-the-clear';
const secret = (text: string): SecretBytes => SecretBytes.take(new TextEncoder().encode(text));

beforeAll(() => openSealed());

function keyed(ring: KeyRing, handlers: Parameters<typeof stage>[0] = {}): Stage {
  return stage({
    'Cluster/GetInfo': () => ({
      clusterId: 'c1',
      intakePublicKey: ring.intakePublicKey(),
      secretValueBytesMax: 64,
    }),
    'Secrets/Set': () => ({ id: 'i', name: 'shop/db', version: 1, index: 5 }),
    ...handlers,
  });
}

describe('set', () => {
  test('sends the value only sealed to the cluster, under its name', async () => {
    const ring = KeyRing.create(countingRandom());
    const { attempts, client, time } = keyed(ring);
    const value = secret(MARKER);
    await time.finish(client.secrets.set('shop/db', value));
    const request = attempts.at(-1)?.request as { sealedValue: Uint8Array };
    expect(Buffer.from(request.sealedValue).includes(MARKER)).toBe(false);
    const opened = ring.openIntake({
      clusterId: 'c1',
      context: intakeContext('shop/db'),
      sealed: request.sealedValue,
    });
    expect(opened.equals(value)).toBe(true);
    expect(value.isWiped).toBe(false);
    const elsewhere = { clusterId: 'c1', context: intakeContext('shop/other') };
    expect(() => ring.openIntake({ ...elsewhere, sealed: request.sealedValue })).toThrow(
      expect.objectContaining({ code: 'CV_ENVELOPE_FORGED' }),
    );
  });

  test('passes its options on', async () => {
    const { attempts, client, time } = keyed(KeyRing.create(countingRandom()));
    await time.finish(
      client.secrets.set('shop/db', secret('x'), {
        labels: { team: 'shop' },
        description: 'd',
        isCreateOnly: true,
        isForced: true,
        objectVersion: 7,
        idempotencyKey: 'k',
      }),
    );
    expect(attempts.at(-1)?.request).toMatchObject({
      name: 'shop/db',
      labels: { team: 'shop' },
      description: 'd',
      createOnly: true,
      force: true,
      objectVersion: 7,
      idempotencyKey: 'k',
    });
  });

  test('asks for the key once for many values', async () => {
    const { attempts, client, time } = keyed(KeyRing.create(countingRandom()));
    for (const name of ['a', 'b', 'c']) {
      await time.finish(client.secrets.set(name, secret('x')));
    }
    expect(attempts.filter(({ method }) => method === 'Cluster/GetInfo')).toHaveLength(1);
    time.nowMs += 61_000;
    await time.finish(client.secrets.set('d', secret('x')));
    expect(attempts.filter(({ method }) => method === 'Cluster/GetInfo')).toHaveLength(2);
  });

  test('asks again after a failure', async () => {
    const ring = KeyRing.create(countingRandom());
    const info = {
      clusterId: 'c1',
      intakePublicKey: ring.intakePublicKey(),
      secretValueBytesMax: 9,
    };
    const refuse = (): Error => new ConclaveError('CV_ROLE_FORBIDDEN', 'no');
    const { client, time } = keyed(ring, { 'Cluster/GetInfo': failing(1, refuse, info) });
    await expect(time.finish(client.secrets.set('a', secret('x')))).rejects.toMatchObject({
      code: 'CV_ROLE_FORBIDDEN',
    });
    await time.finish(client.secrets.set('a', secret('x')));
  });

  test('seals again, once, when the key has changed', async () => {
    const rings = [KeyRing.create(countingRandom()), KeyRing.create(countingRandom())];
    let asked = 0;
    const { attempts, client, time } = stage({
      'Cluster/GetInfo': () => {
        const ring = rings[Math.min(asked, 1)];
        asked += 1;
        return {
          clusterId: 'c1',
          intakePublicKey: ring?.intakePublicKey(),
          secretValueBytesMax: 9,
        };
      },
      'Secrets/Set': failing(1, () => new ConclaveError('CV_ENVELOPE_FORGED', 'no'), {
        version: 1,
      }),
    });
    await time.finish(client.secrets.set('a', secret('x')));
    expect(attempts.map(({ method }) => method)).toEqual([
      'Cluster/GetInfo',
      'Secrets/Set',
      'Cluster/GetInfo',
      'Secrets/Set',
    ]);
    expect(attempts[1]?.request.idempotencyKey).toBe(attempts[3]?.request.idempotencyKey);
  });

  test.each([
    ['CV_NAME_INVALID', 'a//b', 'x'],
    ['CV_ARGUMENT_INVALID', 'a', ''],
    ['CV_SECRET_TOO_LARGE', 'a', 'x'.repeat(65)],
  ])('refuses with %s before it sends anything', async (code, name, text) => {
    const { attempts, client, time } = keyed(KeyRing.create(countingRandom()));
    const work = time.finish(client.secrets.set(name, secret(text)));
    await expect(work).rejects.toMatchObject({ code });
    expect(attempts.filter(({ method }) => method === 'Secrets/Set')).toHaveLength(0);
  });

  test('no error holds the value', async () => {
    const ring = KeyRing.create(countingRandom());
    const { client, time } = keyed(ring, {
      'Secrets/Set': () => {
        throw new ConclaveError('CV_NAME_TAKEN', 'the name exists');
      },
    });
    const error: unknown = await time
      .finish(client.secrets.set('a', secret(MARKER)))
      .catch((caught: unknown) => caught);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(MARKER);
  });
});

test('every method makes the message of its name', async () => {
  const answer = (): unknown => ({});
  const { attempts, client, time } = stage({
    'Secrets/Get': answer,
    'Secrets/Update': answer,
    'Secrets/Rollback': answer,
    'Secrets/DestroyVersion': answer,
    'Secrets/Remove': answer,
    'Secrets/List': () => [{ secrets: [] }],
    'Secrets/History': () => [{}],
    'Secrets/Status': () => [{}],
  });
  const { secrets } = client;
  await time.finish(secrets.get('s', { isStale: true }));
  await time.finish(
    secrets.update('s', { objectVersion: 3, labels: { a: 'b' }, description: 'd' }),
  );
  await time.finish(secrets.rollback('s', 2));
  await time.finish(secrets.destroyVersion('s', 1, { isForced: true }));
  await time.finish(secrets.remove('s'));
  await time.finish(collect(secrets.list({ namePrefix: 'p', labels: { k: 'v' } })));
  await time.finish(collect(secrets.history('s')));
  await time.finish(collect(secrets.status('s')));
  expect(attempts.map(({ request }) => ({ ...request, idempotencyKey: undefined }))).toMatchObject([
    { secret: 's', stale: true },
    { secret: 's', objectVersion: 3, labels: { a: 'b' }, description: 'd' },
    { secret: 's', version: 2 },
    { secret: 's', version: 1, force: true },
    { secret: 's' },
    { namePrefix: 'p', labels: { k: 'v' }, stale: false },
    { secret: 's' },
    { secret: 's' },
  ]);
});
