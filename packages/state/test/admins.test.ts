import { beforeEach, describe, expect, test } from '@jest/globals';
import { limits } from '@conclave/kernel';
import type { CommandBody } from '../src/index.js';
import { adminFields, Bench, bindingSpec, nodeFields, serviceSpec } from './support/bench.js';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

const create = (...parts: Parameters<typeof adminFields>): CommandBody => ({
  kind: 'admin.create',
  admin: adminFields(...parts),
});
const renew = (id: string, usedSerial: string, serial: string): CommandBody => ({
  kind: 'admin.renew',
  id,
  usedSerial,
  certificate: {
    serial,
    notAfterMs: bench.atMs + 1_000,
    publicKeyHash: `key-${id}`,
    root: 1,
    notBeforeMs: 0,
  },
  previousUntilMs: bench.atMs + 10,
});
const revoke = (id: string): CommandBody => ({ kind: 'admin.revoke', id });
const of = (id: string): { by: { kind: 'admin'; id: string } } => ({ by: { kind: 'admin', id } });

describe('administrators', () => {
  test('have one name, key and serial each, also among nodes', () => {
    bench.ok(create('a', { name: 'ann' }));
    bench.no('CV_NAME_TAKEN', create('b', { name: 'ANN' }));
    bench.no('CV_ARGUMENT_INVALID', create('a', { name: 'bob' }));
    const { certificate } = adminFields('a');
    bench.no('CV_ARGUMENT_INVALID', create('b', { certificate }));
    bench.no(
      'CV_ARGUMENT_INVALID',
      create('b', {
        certificate: { ...certificate, publicKeyHash: 'other', root: 1, notBeforeMs: 0 },
      }),
    );
    bench.node('n');
    bench.no('CV_ARGUMENT_INVALID', create('b', { certificate: nodeFields('n').certificate }));
    const join = { kind: 'node.join', tokenId: 'token-workers' } as const;
    bench.no('CV_ARGUMENT_INVALID', { ...join, node: nodeFields('m', { certificate }) });
  });

  test.each<[string, () => void]>([
    ['was revoked', () => bench.ok(revoke('a'))],
    ['has expired', () => (bench.atMs += 10_000)],
  ])('the name of one that %s is free again', (_why, end) => {
    const notAfterMs = bench.atMs + 5_000;
    const certificate = { ...adminFields('a').certificate, notAfterMs };
    bench.ok(create('a', { name: 'ann', certificate }));
    end();
    bench.ok(create('b', { name: 'ann' }));
    expect([...bench.state.admins()].map((row) => row.id)).toEqual(['b']);
  });

  test('ones that cannot come back make room, others do not', () => {
    for (let count = 0; count < limits.ADMIN_COUNT_MAX; count += 1) bench.ok(create(`a${count}`));
    bench.no('CV_LIMIT_EXCEEDED', create('one-more'));
    bench.ok(revoke('a7'));
    bench.ok(create('one-more'));
    expect(bench.state.adminById('a7')).toBeUndefined();
    expect(bench.state.counts().admins).toBe(limits.ADMIN_COUNT_MAX);
  });

  test('renewal keeps the certificate that was used, and no older one', () => {
    bench.ok(create('a'));
    bench.ok(renew('a', 'cert-a', 'two'));
    bench.ok(renew('a', 'cert-a', 'three'));
    expect(bench.state.adminById('a')).toMatchObject({
      certificate: { serial: 'three' },
      previousCertificate: { serial: 'cert-a' },
    });
    bench.no('CV_UNAUTHENTICATED', renew('a', 'two', 'four'));
    bench.ok(revoke('a'));
    bench.no('CV_UNAUTHENTICATED', renew('a', 'three', 'four'));
    bench.no('CV_UNAUTHENTICATED', renew('nobody', 'cert-a', 'four'));
  });

  test('revocation is told once and counts for every entry behind it', () => {
    bench.ok(create('a', { roles: ['admin'] }));
    bench.ok(bench.setCommand('x', 1), of('a'));
    expect(bench.ok(revoke('a'))).toMatchObject({ unchanged: false });
    expect(bench.ok(revoke('a'))).toMatchObject({ unchanged: true });
    bench.no('CV_UNAUTHENTICATED', bench.setCommand('x', 2), of('a'));
    bench.no('CV_UNAUTHENTICATED', bench.setCommand('x', 2), of('nobody'));
    bench.no('CV_ADMIN_NOT_FOUND', revoke('nobody'));
  });
});

describe('to use a secret in a service', () => {
  const bindings = [bindingSpec({ secretId: 'id-shop/db', target: 'db' })];
  const service: CommandBody = {
    kind: 'service.create',
    id: 's',
    spec: serviceSpec({ bindings }),
  };
  const update = (fields: Parameters<typeof serviceSpec>[0]): CommandBody => ({
    kind: 'service.update',
    id: 's',
    spec: serviceSpec({ bindings, ...fields }),
    objectVersion: 0,
  });
  beforeEach(() => {
    bench.set('shop/db', 1);
    bench.set('shop/key', 1);
  });

  test.each<[string[]]>([[[]], [['shop']], [['shop/key']], [['shop/d*']], [['other/*']]])(
    'an operator with %p has no right',
    (uses) => {
      bench.ok(create('op', { uses }));
      const refused = bench.no('CV_SECRET_USE_FORBIDDEN', service, of('op'));
      expect(refused.details).toMatchObject({ secret: 'shop/db' });
    },
  );

  test.each<[string[]]>([[['shop/db']], [['x', 'SHOP/*']], [['*']]])(
    'an operator with %p has the right',
    (uses) => {
      bench.ok(create('op', { uses }));
      bench.ok(service, of('op'));
    },
  );

  test('the role admin and the socket need no grant', () => {
    bench.ok(create('root', { roles: ['viewer', 'admin'] }));
    bench.ok(service, of('root'));
    bench.ok(update({ user: 'app' }));
  });

  test('one forbidden secret among allowed ones refuses the whole service', () => {
    bench.ok(create('op', { uses: ['shop/db'] }));
    const both = [...bindings, bindingSpec({ secretId: 'id-shop/key', target: 'key' })];
    const spec = serviceSpec({ bindings: both });
    bench.no('CV_SECRET_USE_FORBIDDEN', { kind: 'service.create', id: 's', spec }, of('op'));
    expect(bench.state.services()).toEqual([]);
  });

  test('without it a service may be scaled, but not made to do something else', () => {
    bench.ok(create('op'));
    bench.ok(service);
    bench.ok(update({ replicas: 5 }), of('op'));
    bench.no('CV_SECRET_USE_FORBIDDEN', update({ command: ['/bin/cat'] }), of('op'));
    bench.no('CV_SECRET_USE_FORBIDDEN', update({ constraints: ['node.id == n'] }), of('op'));
    bench.ok(update({ bindings: [], command: ['/bin/true'] }), of('op'));
  });
});
