import { describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import {
  createRecipientKeyPair,
  openFromRecipient,
  openSealed,
  parseToken,
  SecretBytes,
  signingPublicKey,
} from '@conclave/sealed';
import { localContext } from '../src/index.js';
import type { SecretCall } from '../src/index.js';
import { collect, countingRandom, stage } from './support/fake-port.js';

const answer = (): unknown => ({});

describe('services', () => {
  test('every method makes the message of its name', async () => {
    const { attempts, client, time } = stage({
      'Services/Create': answer,
      'Services/Update': answer,
      'Services/Scale': answer,
      'Services/Get': answer,
      'Services/Remove': answer,
      'Services/List': () => [{ services: [] }],
      'Services/Logs': () => [{}],
    });
    const { services } = client;
    const spec = { name: 'web', command: ['x'] };
    await time.finish(services.create(spec));
    await time.finish(services.update('web', { objectVersion: 4, spec }));
    await time.finish(services.scale('web', 3));
    await time.finish(services.get('web'));
    await time.finish(services.remove('web'));
    await time.finish(collect(services.list({ namePrefix: 'w' })));
    await time.finish(
      collect(services.logs('web', { task: 't', tailLines: 5, isFollowing: true })),
    );
    expect(attempts.map(({ request }) => request)).toMatchObject([
      { spec },
      { service: 'web', objectVersion: 4, spec },
      { service: 'web', replicas: 3 },
      { service: 'web', stale: false },
      { service: 'web' },
      { namePrefix: 'w', labels: {} },
      { service: 'web', task: 't', tailLines: 5, follow: true },
    ]);
  });
});

describe('tasks, nodes and tokens', () => {
  test('every method makes the message of its name', async () => {
    const { attempts, client, time } = stage({
      'Tasks/Get': answer,
      'Tasks/List': () => [{ tasks: [{}] }],
      'Nodes/Get': answer,
      'Nodes/List': () => [{ nodes: [{}, {}] }],
      'Nodes/Update': answer,
      'Nodes/Remove': answer,
      'Nodes/Exposure': () => [{}],
      'Tokens/List': () => [{}],
      'Tokens/Revoke': answer,
    });
    await time.finish(client.tasks.get('t'));
    const tasks = client.tasks.list({ service: 's', node: 'n', isLiveOnly: true });
    expect(await time.finish(collect(tasks))).toHaveLength(1);
    await time.finish(client.nodes.get('n', { isStale: true }));
    expect(await time.finish(collect(client.nodes.list({ role: 'worker' })))).toHaveLength(2);
    await time.finish(client.nodes.update('n', { availability: 'drain', labelsRemove: ['x'] }));
    await time.finish(client.nodes.remove('n', { isForced: true }));
    await time.finish(collect(client.nodes.exposure('n')));
    await time.finish(collect(client.tokens.list()));
    await time.finish(client.tokens.revoke('i'));
    expect(attempts.map(({ request }) => request)).toMatchObject([
      { task: 't' },
      { service: 's', node: 'n', liveOnly: true, stale: false },
      { node: 'n', stale: true },
      { role: 'worker', stale: false },
      { node: 'n', objectVersion: 0, availability: 'drain', labelsSet: {}, labelsRemove: ['x'] },
      { node: 'n', force: true },
      { node: 'n' },
      {},
      { id: 'i' },
    ]);
  });

  test('a new token is made here: its seed is in no message', async () => {
    const pin = new Uint8Array(32).fill(7);
    const { attempts, client, time } = stage({
      'Tokens/Create': () => ({ token: { id: 'i' }, pin, joinAddresses: ['h:1'], index: 9 }),
    });
    await openSealed();
    const created = await time.finish(client.tokens.create({ role: 'worker', uses: 2, ttlMs: 5 }));
    expect(created).toMatchObject({ token: { id: 'i' }, joinAddresses: ['h:1'], index: 9 });
    const token = parseToken(created.text.use((view) => Uint8Array.from(view)));
    expect(token).toMatchObject({ role: 'worker', pin });
    const [sent] = attempts.map(({ request }) => request);
    expect(sent).toMatchObject({ id: token.id, publicKey: signingPublicKey(token.seed) });
    const seed = token.seed.use((view) => [...view]);
    expect(Object.values(sent ?? {})).not.toContainEqual(Uint8Array.from(seed));
    expect(JSON.stringify(created)).not.toContain('cvj1');
  });
});

describe('local', () => {
  const refused = (): never => {
    throw new ConclaveError('CV_PEER_UNREACHABLE', 'no');
  };

  test('init and leave are sent once: they have no key', async () => {
    const recovery = { publicKey: Uint8Array.of(1), threshold: 0, shareHashes: [] };
    const { attempts, client, time } = stage({ 'Local/Init': refused, 'Local/Leave': refused });
    await expect(time.finish(client.local.init({ recovery }))).rejects.toMatchObject({
      code: 'CV_PEER_UNREACHABLE',
    });
    await expect(time.finish(client.local.leave({ isForced: true }))).rejects.toMatchObject({
      code: 'CV_PEER_UNREACHABLE',
    });
    expect(attempts.map(({ request }) => request)).toEqual([
      { advertise: '', autoUnlock: '', recovery },
      { force: true },
    ]);
  });

  test('join and unlock send their secrets sealed to the daemon, each for its call', async () => {
    await openSealed();
    const keyPair = createRecipientKeyPair(countingRandom());
    const { attempts, client, time } = stage({
      'Local/Status': () => ({ intakePublicKey: keyPair.publicKey }),
      'Local/Join': () => ({ nodeId: 'n' }),
      'Local/Unlock': () => ({ isUnlocked: true }),
    });
    const secret = SecretBytes.take(new TextEncoder().encode('cvj1-w'));
    await time.finish(client.local.join({ address: 'h:1', token: secret }));
    await time.finish(client.local.unlock(secret));
    const [, join, , unlock] = attempts.map(({ request }) => request);
    const open = (call: SecretCall, sealed?: Uint8Array): SecretBytes =>
      openFromRecipient({
        keyPair,
        context: localContext(call),
        sealed: sealed ?? new Uint8Array(0),
        isPadded: true,
      });
    expect(open('join', join?.sealedToken).equals(secret)).toBe(true);
    expect(open('unlock', unlock?.sealedText).equals(secret)).toBe(true);
    expect(() => open('unlock', join?.sealedToken)).toThrow(
      expect.objectContaining({ code: 'CV_ENVELOPE_FORGED' }),
    );
    expect(secret.isWiped).toBe(false);
  });

  test('status is a read', async () => {
    const { client, time } = stage({ 'Local/Status': () => ({ state: 'ready' }) });
    expect(await time.finish(client.local.status())).toEqual({ state: 'ready' });
  });
});

test('close may be called again', async () => {
  const { client, closed } = stage({});
  await client.close();
  await client[Symbol.asyncDispose]();
  expect(closed.count).toBe(2);
});
