import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkTarget, isConclaveError, limits } from '@conclave/kernel';
import { hash, openSealed } from '@conclave/sealed';
import { DAMAGE_KINDS, damaged, decodeHostile, FUZZ_RUNS } from '@conclave/testing';
import type { Damage } from '@conclave/testing';
import { loadWire } from '@conclave/wire';
import { serviceSpecOf } from '../src/control/service-spec.js';
import { checkedHello } from '../src/dispatch/hello.js';
import { HELD_MAX, PROTOCOL } from '../src/dispatch/limits.js';
import { checkJoinText, isAddress, managerFields } from '../src/identity/join-fields.js';
import { decodeRecovery, encodeRecovery } from '../src/keys/recovery-data.js';
import { decodeSlots, encodeSlots } from '../src/keys/slot-file.js';
import type { Slot } from '../src/keys/slot-file.js';
import { specMessage } from './control/cluster.js';
import { FoundedCluster } from './founded-cluster.js';

const HASH_BYTES = 32;
const damages = fc.array(
  fc.record({
    kind: fc.constantFrom(...DAMAGE_KINDS),
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
);
const refusedWith =
  (...codes: readonly string[]) =>
  (error: unknown): boolean =>
    isConclaveError(error) && codes.includes(error.code);

/** A message after it was damaged on its way; undefined: it is none any more. */
function received<T>(
  codec: { readonly encode: () => Buffer; readonly decode: (bytes: Buffer) => T },
  how: readonly Damage[],
): T | undefined {
  const bytes = Buffer.from(damaged(codec.encode(), how));
  return decodeHostile(() => codec.decode(bytes), refusedWith('CV_PROTOCOL', 'CV_LIMIT_EXCEEDED'));
}

let cluster: FoundedCluster;
beforeAll(async () => {
  await openSealed();
  cluster = await FoundedCluster.running();
});

const key = (size: number): Uint8Array => new Uint8Array(size).fill(5);

describe('hostile bytes instead of', () => {
  test('the file of the slots, also with a sum that fits', () => {
    const slot: Slot = {
      id: 'aaaaaaaaaaaaaaaaaaaaaaaaaa',
      kind: 'command',
      createdAtMs: 1_000,
      detail: '/bin/keep',
      publicKey: key(40),
      data: key(9),
      sealed: key(80),
    };
    const valid = encodeSlots([slot, { ...slot, kind: 'recovery' }]);
    const body = valid.subarray(0, valid.length - HASH_BYTES);
    fc.assert(
      fc.property(damages, fc.boolean(), (how, isSummed) => {
        const hurt = damaged(isSummed ? body : valid, how);
        const bytes = isSummed ? new Uint8Array([...hurt, ...hash(hurt)]) : hurt;
        const slots = decodeHostile(() => decodeSlots(bytes), refusedWith('CV_LOG_DAMAGED'));
        if (slots === undefined) return;
        expect(slots.length).toBeLessThanOrEqual(limits.KEY_SLOT_COUNT_MAX);
        expect(Buffer.from(encodeSlots(slots)).equals(bytes)).toBe(true);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('what a recovery slot keeps', () => {
    const row = { generation: 3, threshold: 2, shareHashes: [key(32), key(32)] };
    const valid = encodeRecovery(row);
    fc.assert(
      fc.property(damages, fc.uint8Array({ maxLength: 100 }), (how, invented) => {
        for (const bytes of [damaged(valid, how), invented]) {
          const read = decodeHostile(() => decodeRecovery(bytes), refusedWith('CV_LOG_DAMAGED'));
          if (read !== undefined) expect(encodeRecovery(read)).toEqual(bytes);
        }
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('the hello of an agent', () => {
    const { Session } = loadWire().Dispatcher;
    const hello = {
      protocol: PROTOCOL,
      hostname: 'w1',
      platformOs: 'linux',
      version: '1.0.0',
      bootId: 'boot',
      executors: ['process'],
      held: [{ secretId: 'a', version: 1 }],
    };
    const codec = {
      encode: () => Session.encodeRequest({ hello }),
      decode: (bytes: Buffer) => Session.decodeRequest(bytes),
    };
    fc.assert(
      fc.property(damages, (how) => {
        const message = received(codec, how);
        const read = decodeHostile(
          () => checkedHello(message?.hello),
          refusedWith('CV_PROTOCOL', 'CV_LIMIT_EXCEEDED'),
        );
        if (read === undefined) return;
        expect(read.held.length).toBeLessThanOrEqual(HELD_MAX);
        expect(read.hostname.length).toBeLessThanOrEqual(255);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('what a joining host says of itself', () => {
    const { Join } = loadWire().Join;
    const said = {
      tokenId: key(8),
      nonce: key(32),
      publicKey: key(91),
      hostname: 'host-1',
      platformOs: 'linux',
      version: '1.0.0',
      clusterAddress: '10.0.0.1:7420',
      joinAddress: '10.0.0.1:7421',
      staticPublicKey: key(1_217),
      signingPublicKey: key(32),
      proof: key(64),
      signature: key(64),
    };
    const codec = {
      encode: () => Join.encodeRequest(said),
      decode: (bytes: Buffer) => Join.decodeRequest(bytes),
    };
    const isRefusal = refusedWith('CV_ARGUMENT_INVALID');
    fc.assert(
      fc.property(damages, (how) => {
        const message = received(codec, how);
        if (message === undefined) return;
        const isText = decodeHostile(() => (checkJoinText(message), true), isRefusal);
        if (isText === true) expect(message.hostname).toMatch(/^[A-Za-z0-9.-]+$/);
        const fields = decodeHostile(() => managerFields(message, 'manager'), isRefusal);
        if (fields !== undefined) expect(isAddress(fields.clusterAddress)).toBe(true);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  test('the description of a service', () => {
    const { Create } = loadWire().Services;
    const spec = specMessage({ env: { A: 'b' }, labels: { team: 'x' }, command: ['run', 'it'] });
    const codec = {
      encode: () => Create.encodeRequest({ spec }),
      decode: (bytes: Buffer) => Create.decodeRequest(bytes),
    };
    const isRefusal = refusedWith(
      'CV_ARGUMENT_INVALID',
      'CV_NAME_INVALID',
      'CV_UNSUPPORTED',
      'CV_SECRET_NOT_FOUND',
      'CV_VERSION_NOT_FOUND',
      'CV_LIMIT_EXCEEDED',
    );
    fc.assert(
      fc.property(damages, (how) => {
        const message = received(codec, how);
        if (message === undefined) return;
        const read = decodeHostile(() => serviceSpecOf(cluster.state, message.spec), isRefusal);
        if (read === undefined) return;
        expect(read.bindings.length).toBeLessThanOrEqual(limits.BINDING_COUNT_MAX);
        for (const { target } of read.bindings) checkTarget(target);
        expect(read.command.length).toBeGreaterThan(0);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});
