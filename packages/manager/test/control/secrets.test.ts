import { beforeEach, describe, expect, test } from '@jest/globals';
import { SecretBytes } from '@conclave/sealed';
import type { Command } from '@conclave/state';
import {
  bindingMessage,
  CALL,
  collect,
  specMessage,
  TestControl,
  VALUE_BYTES_MAX,
} from './cluster.js';

let control: TestControl;
beforeEach(async () => {
  control = await TestControl.open();
});

const code = (name: string): unknown => expect.objectContaining({ code: name });

function lastSet(): Extract<Command, { kind: 'secret.set' }> {
  const command = control.proposals.findLast((proposed) => proposed.kind === 'secret.set');
  if (command?.kind !== 'secret.set') throw new Error('nothing was set');
  return command;
}

/** The value as an unlocked manager would open it for delivery. */
function valueOf(name: string, version: number): string {
  const secret = control.state.secretByName(name);
  const sealed = control.state.secretVersion(secret?.id ?? '', version)?.sealed;
  if (secret === undefined || sealed === undefined) throw new Error('no such version');
  const value = control.ring.openValue({
    clusterId: control.state.cluster()?.id ?? '',
    secretId: secret.id,
    version,
    sealed,
  });
  return value.use((view) => Buffer.from(view).toString('latin1'));
}

describe('set', () => {
  test.each([
    ['nothing', ''],
    ['254 bytes', 'a'.repeat(254)],
    ['a leading dash', '-a'],
    ['a trailing dash', 'a-'],
    ['a space', 'a b'],
    ['an empty segment', 'a//b'],
    ['a leading slash', '/a'],
    ['a trailing slash', 'a/'],
    ['dots', 'a/../b'],
    ['a letter outside ASCII', 'ä'],
    ['a segment of 64', 'a'.repeat(64)],
  ])('refuses a name with %s and stores nothing', async (_what, name) => {
    await expect(control.set(name, 'x')).rejects.toEqual(code('CV_NAME_INVALID'));
    expect(control.proposals).toHaveLength(0);
  });

  test.each(['0', 'a', 'shop/db', 'name-with--dashes', 'name.with..dots', 'a'.repeat(63)])(
    'accepts the name %s',
    async (name) => {
      expect(await control.set(name, 'x')).toMatchObject({ name, version: 1, unchanged: false });
    },
  );

  test('refuses an empty value, and one over the limit, with their codes', async () => {
    await expect(control.set('a', '')).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    const tooLong = 'x'.repeat(VALUE_BYTES_MAX + 1);
    await expect(control.set('a', tooLong)).rejects.toEqual(code('CV_SECRET_TOO_LARGE'));
    const huge = { sealedValue: Buffer.alloc(VALUE_BYTES_MAX * 8) };
    await expect(control.set('a', 'x', huge)).rejects.toEqual(code('CV_SECRET_TOO_LARGE'));
    const absent = { sealedValue: Buffer.alloc(0) };
    await expect(control.set('a', 'x', absent)).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    expect(control.proposals).toHaveLength(0);
  });

  test('keeps every byte, from 1 byte to the limit', async () => {
    const every = String.fromCharCode(...Array(256).keys(), 13, 10, 0);
    for (const [name, value] of [
      ['one', '\0'],
      ['every', every],
      ['limit', 'y'.repeat(VALUE_BYTES_MAX)],
    ] as const) {
      const bytes = Buffer.from(value, 'latin1');
      await control.secrets.set(control.setRequest(name, bytes), CALL);
      expect(valueOf(name, 1)).toBe(value);
    }
  });

  test('makes version 2 and keeps version 1', async () => {
    await control.set('shop/db', 'first');
    expect(await control.set('shop/db', 'second')).toMatchObject({ version: 2, unchanged: false });
    expect(valueOf('shop/db', 1)).toBe('first');
    expect(valueOf('shop/db', 2)).toBe('second');
    expect(await control.secrets.get({ secret: 'shop/db', stale: false }, CALL)).toMatchObject({
      currentVersion: 2,
    });
  });

  test('says "unchanged" for the same value, makes a version of it when forced', async () => {
    await control.set('a', 'same');
    expect(await control.set('a', 'same')).toMatchObject({ version: 1, unchanged: true });
    expect(await control.set('a', 'same', { force: true })).toMatchObject({
      version: 2,
      unchanged: false,
    });
  });

  test('knows the same value again after the ring was rotated', async () => {
    await control.set('a', 'same');
    control.ring = control.ring.rotate(control.deps.random);
    const commitment = control.ring.commitment(2);
    control.apply({ kind: 'ring.rotate' });
    control.apply({ kind: 'ring.offer', keyId: 2, commitment });
    for (const { id, manager } of control.state.nodes()) {
      if (manager === undefined) continue;
      const held = { membership: undefined, ringGeneration: 2 };
      control.apply({ kind: 'node.membership', id, ...held });
    }
    control.apply({ kind: 'ring.activate', keyId: 2 });
    expect(await control.set('a', 'same')).toMatchObject({ version: 1, unchanged: true });
    expect(await control.set('a', 'other')).toMatchObject({ version: 2, unchanged: false });
    expect(await control.set('a', 'other')).toMatchObject({ version: 2, unchanged: true });
  });

  test('create-only refuses a name that differs in case only', async () => {
    await control.set('name', 'x');
    await expect(control.set('NAME', 'y', { createOnly: true })).rejects.toEqual(
      code('CV_NAME_TAKEN'),
    );
  });

  test('refuses a stale object version and says the current one', async () => {
    await control.set('a', 'x');
    const { objectVersion } = await control.secrets.get({ secret: 'a', stale: false }, CALL);
    await control.set('a', 'y');
    await expect(
      control.set('a', 'z', { objectVersion: objectVersion ?? 0 }),
    ).rejects.toMatchObject({
      code: 'CV_VERSION_STALE',
      details: { current: control.state.secretByName('a')?.objectVersion },
    });
  });

  test('seals again when another set came in between', async () => {
    await control.set('a', 'first');
    const other = control.setRequest('a', 'between');
    control.beforeApply = () => {
      control.beforeApply = undefined;
      const known = control.state.secretByName('a');
      const value = SecretBytes.take(new TextEncoder().encode('between'));
      const place = { clusterId: control.state.cluster()?.id ?? '', secretId: known?.id ?? '' };
      control.apply({
        kind: 'secret.set',
        newId: 'unused',
        name: other.name,
        secretId: place.secretId,
        version: 2,
        sealed: control.ring.sealValue({
          ...place,
          version: 2,
          value,
          random: control.deps.random,
        }),
        digest: control.ring.digestValue({ secretId: place.secretId, value }),
        compared: {
          keyId: 1,
          digest: control.ring.digestValue({ secretId: place.secretId, value }),
        },
        labels: {},
        description: '',
        createOnly: false,
        force: false,
        objectVersion: 0,
      });
    };
    expect(await control.set('a', 'mine')).toMatchObject({ version: 3 });
    expect(valueOf('a', 3)).toBe('mine');
    expect(control.proposals.filter((command) => command.kind === 'secret.set')).toHaveLength(3);
  });

  test('refuses a value that was sealed for another name', async () => {
    const { sealedValue } = control.setRequest('other', 'x');
    await expect(control.set('a', 'x', { sealedValue })).rejects.toEqual(
      code('CV_ENVELOPE_FORGED'),
    );
  });

  test('wipes the value whatever happens', async () => {
    const opened: SecretBytes[] = [];
    const { ring } = control;
    const open = ring.openIntake.bind(ring);
    ring.openIntake = (request) => {
      const value = open(request);
      opened.push(value);
      return value;
    };
    await control.set('a', 'x');
    await control.set('a', 'x', { createOnly: true }).catch(() => undefined);
    await control.set('b', 'x'.repeat(VALUE_BYTES_MAX + 1)).catch(() => undefined);
    control.beforeApply = () => {
      throw new Error('lost');
    };
    await control.set('c', 'x').catch(() => undefined);
    expect(opened.map((value) => value.isWiped)).toEqual([true, true, true, true]);
  });

  /** The ring moves on, as far as new values are concerned; the old version is there still. */
  function rotateRing(): void {
    const keyId = 2;
    control.apply({ kind: 'ring.rotate' });
    control.apply({ kind: 'ring.offer', keyId, commitment: new Uint8Array(32) });
    const holds = { membership: undefined, ringGeneration: 2 } as const;
    control.apply({ kind: 'node.membership', id: CALL.selfNodeId, ...holds });
    control.apply({ kind: 'ring.activate', keyId });
    control.ring = control.ring.rotate(control.deps.random);
  }

  test('answers a repeated key as the first time when the ring was rotated in between', async () => {
    const first = await control.set('a', 'x', { idempotencyKey: 'key' });
    rotateRing();
    expect(await control.set('a', 'x', { idempotencyKey: 'key' })).toEqual(first);
    await expect(control.set('a', 'y', { idempotencyKey: 'key' })).rejects.toEqual(
      code('CV_IDEMPOTENCY_REUSED'),
    );
    // Under a version that is gone nothing can be compared but the rest of the request.
    control.ring = control.ring.retireAllBut({ keyId: 2, generation: 3 });
    expect(await control.set('a', 'x', { idempotencyKey: 'key' })).toEqual(first);
    await expect(
      control.set('a', 'x', { idempotencyKey: 'key', description: 'other' }),
    ).rejects.toEqual(code('CV_IDEMPOTENCY_REUSED'));
    expect(control.state.secretByName('a')?.latestVersion).toBe(1);
  });

  test('an equal value is no new version while values move to a new version of the ring', async () => {
    await control.set('a', 'same');
    const value = SecretBytes.take(new TextEncoder().encode('same'));
    const secretId = control.state.secretByName('a')?.id ?? '';
    rotateRing();
    control.beforeApply = () => {
      control.beforeApply = undefined;
      const digest = control.ring.digestValue({ secretId, value, keyId: 2 });
      const moved = { secretId, version: 1, wrappedDek: new Uint8Array(90), digest };
      control.apply({
        kind: 'ring.rewrap',
        keyId: 2,
        versions: [moved],
        rootKeySealed: undefined,
      });
    };
    expect(await control.set('a', 'same')).toMatchObject({ version: 1, unchanged: true });
    expect(await control.set('a', 'other')).toMatchObject({ version: 2 });
    expect(await control.set('a', 'other')).toMatchObject({ version: 2, unchanged: true });
  });

  test('answers a repeated key as the first time, and refuses it for another value', async () => {
    const first = await control.set('a', 'x', { idempotencyKey: 'key' });
    expect(await control.set('a', 'x', { idempotencyKey: 'key' })).toEqual(first);
    expect(control.state.secretByName('a')?.latestVersion).toBe(1);
    await expect(control.set('a', 'y', { idempotencyKey: 'key' })).rejects.toEqual(
      code('CV_IDEMPOTENCY_REUSED'),
    );
    await expect(control.set('a', 'x', { idempotencyKey: 'k'.repeat(65) })).rejects.toEqual(
      code('CV_ARGUMENT_INVALID'),
    );
    const other = { ...CALL, actor: { kind: 'node', id: 'other' } } as const;
    const theirs = control.setRequest('a', 'y', { idempotencyKey: 'key' });
    expect(await control.secrets.set(theirs, other)).toMatchObject({ version: 2 });
  });

  test('puts no trace of the value into the command', async () => {
    const marker = 'marker-of-this-test';
    await control.set('a', marker, { labels: { team: 'x' } });
    expect(JSON.stringify(lastSet())).not.toContain(marker);
    const bytes = Buffer.concat([lastSet().sealed.envelope, lastSet().digest]);
    expect(bytes.toString('latin1')).not.toContain(marker);
  });
});

describe('reads', () => {
  test('an empty reference is INVALID, an unknown one NOT FOUND', async () => {
    const get = (secret: string): Promise<unknown> =>
      control.secrets.get({ secret, stale: false }, CALL);
    await expect(get('')).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(get('nobody')).rejects.toEqual(code('CV_SECRET_NOT_FOUND'));
    await expect(get('a'.repeat(300))).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
  });

  test('ask the leader unless a stale answer will do', async () => {
    await control.set('a', 'x');
    await control.secrets.get({ secret: 'a', stale: true }, CALL);
    expect(control.barriers).toBe(0);
    await control.secrets.get({ secret: 'a', stale: false }, CALL);
    await collect(control.secrets.list({ namePrefix: '', labels: {}, stale: false }, CALL));
    expect(control.barriers).toBe(2);
  });

  test('list by prefix and label in natural order, empty without a match', async () => {
    for (const name of ['k10', 'k2', 'other', 'K1']) {
      await control.set(name, 'x', { labels: name === 'k2' ? { team: 'a' } : {} });
    }
    const list = async (namePrefix: string, labels: Record<string, string>): Promise<unknown> =>
      (await collect(control.secrets.list({ namePrefix, labels, stale: false }, CALL)))
        .flatMap((page) => page.secrets ?? [])
        .map((secret) => secret.name);
    expect(await list('k', {})).toEqual(['K1', 'k2', 'k10']);
    expect(await list('', { team: '' })).toEqual(['k2']);
    expect(await list('', { team: 'b' })).toEqual([]);
    expect(await list('none', {})).toEqual([]);
  });

  test('by id as well as by name in any case', async () => {
    const { id } = await control.set('shop/db', 'x');
    for (const secret of [id ?? '', 'shop/db', 'SHOP/DB']) {
      expect(await control.secrets.get({ secret, stale: false }, CALL)).toMatchObject({ id });
    }
  });
});

describe('update, rollback, destroy, remove', () => {
  test('an update needs the version that was read and touches no secret version', async () => {
    await control.set('a', 'x');
    const update = { secret: 'a', labels: { b: 'c' }, description: 'text', idempotencyKey: '' };
    await expect(control.secrets.update({ ...update, objectVersion: 0 }, CALL)).rejects.toEqual(
      code('CV_ARGUMENT_INVALID'),
    );
    const { objectVersion = 0 } = await control.secrets.get({ secret: 'a', stale: false }, CALL);
    const after = await control.secrets.update({ ...update, objectVersion }, CALL);
    expect(after).toMatchObject({ labels: { b: 'c' }, description: 'text', currentVersion: 1 });
    await expect(control.secrets.update({ ...update, objectVersion }, CALL)).rejects.toEqual(
      code('CV_VERSION_STALE'),
    );
  });

  test('a rollback is a line of the history, with who and when', async () => {
    for (const value of ['1', '2', '3']) await control.set('a', value);
    control.time.now();
    const rollback = { secret: 'a', version: 1, idempotencyKey: '' };
    expect(await control.secrets.rollback(rollback, CALL)).toMatchObject({ version: 1 });
    const history = await collect(control.secrets.history({ secret: 'a' }, CALL));
    expect(history.map(({ what, version, by }) => [what, version, by])).toEqual([
      ['set', 1, CALL.actor],
      ['set', 2, CALL.actor],
      ['set', 3, CALL.actor],
      ['rollback', 1, CALL.actor],
    ]);
    await expect(control.secrets.rollback({ ...rollback, version: 9 }, CALL)).rejects.toEqual(
      code('CV_VERSION_NOT_FOUND'),
    );
  });

  test('destroying is refused for a version in use and names the service', async () => {
    await control.set('shop/db', '1');
    const bindings = [bindingMessage({ version: 1 })];
    await control.services.create({ spec: specMessage({ bindings }), idempotencyKey: '' }, CALL);
    await control.set('shop/db', '2');
    const destroy = { secret: 'shop/db', version: 1, force: false, idempotencyKey: '' };
    await expect(control.secrets.destroyVersion(destroy, CALL)).rejects.toMatchObject({
      code: 'CV_SECRET_IN_USE',
      message: expect.stringContaining('service web') as unknown,
    });
    await control.secrets.destroyVersion({ ...destroy, force: true }, CALL);
    const secret = await control.secrets.get({ secret: 'shop/db', stale: false }, CALL);
    expect(secret.versions?.map((version) => version.destroyed)).toEqual([true, false]);
    await expect(control.secrets.destroyVersion({ ...destroy, version: 0 }, CALL)).rejects.toEqual(
      code('CV_ARGUMENT_INVALID'),
    );
  });

  test('removing names all users; twice is NOT FOUND', async () => {
    await control.set('shop/db', '1');
    for (const name of ['one', 'two']) {
      const spec = specMessage({ name, bindings: [bindingMessage()] });
      await control.services.create({ spec, idempotencyKey: '' }, CALL);
    }
    const remove = { secret: 'shop/db', idempotencyKey: '' };
    await expect(control.secrets.remove(remove, CALL)).rejects.toMatchObject({
      code: 'CV_SECRET_IN_USE',
      message: expect.stringMatching(/service one, service two/) as unknown,
    });
    await control.set('free', 'x');
    await control.secrets.remove({ secret: 'free', idempotencyKey: '' }, CALL);
    await expect(
      control.secrets.remove({ secret: 'free', idempotencyKey: '' }, CALL),
    ).rejects.toEqual(code('CV_SECRET_NOT_FOUND'));
  });

  test('a removal whose answer was lost is answered again under its key', async () => {
    await control.set('a', 'x');
    const remove = { secret: 'a', idempotencyKey: 'key' };
    const first = await control.secrets.remove(remove, CALL);
    expect(await control.secrets.remove(remove, CALL)).toEqual(first);
    await expect(
      control.secrets.remove({ ...remove, idempotencyKey: 'other' }, CALL),
    ).rejects.toEqual(code('CV_SECRET_NOT_FOUND'));
  });
});

describe('status', () => {
  test('shows what each binding of a live task wants and has', async () => {
    await control.set('shop/db', '1');
    const nodeId = control.addWorker('w1');
    const bindings = [bindingMessage(), bindingMessage({ version: 1, target: 'pinned' })];
    const { service } = await control.services.create(
      { spec: specMessage({ bindings }), idempotencyKey: '' },
      CALL,
    );
    const taskId = control.addTask(service?.id ?? '', nodeId);
    await control.set('shop/db', '2');
    const secretId = control.state.secretByName('shop/db')?.id ?? '';
    control.apply({
      kind: 'receipts.report',
      receipts: [
        {
          nodeId,
          taskId,
          target: 'db',
          secretId,
          version: 1,
          outcome: 'delivered',
          detail: '',
          atMs: 5,
        },
      ],
    });
    const uses = await collect(control.secrets.status({ secret: 'shop/db' }, CALL));
    const base = { serviceName: 'web', taskId, nodeId, nodeHostname: 'w1', taskState: 'ASSIGNED' };
    expect(uses).toEqual([
      {
        ...base,
        target: 'db',
        wantedVersion: 2,
        deliveredVersion: 1,
        outcome: 'delivered',
        detail: '',
        atMs: 5,
        pinned: false,
      },
      {
        ...base,
        target: 'pinned',
        wantedVersion: 1,
        deliveredVersion: 0,
        outcome: '',
        detail: '',
        atMs: 0,
        pinned: true,
      },
    ]);
    expect(await control.set('shop/db', '3')).toMatchObject({ affectedTasks: 1 });
  });
});
