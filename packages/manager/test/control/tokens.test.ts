import { beforeEach, describe, expect, test } from '@jest/globals';
import { parseToken, signJoin, verifyJoin } from '@conclave/sealed';
import type { CreateTokenRequest } from '@conclave/wire';
import { CALL, collect, TestControl } from './cluster.js';

let control: TestControl;
beforeEach(async () => {
  control = await TestControl.open();
});

const code = (name: string): unknown => expect.objectContaining({ code: name });
const HOUR_MS = 3_600_000;

function create(fields: Partial<CreateTokenRequest>): ReturnType<TestControl['tokens']['create']> {
  const unsaid = { uses: 0, ttlMs: 0, idempotencyKey: '', needsApproval: false };
  const request = { role: 'worker', ...unsaid, ...fields };
  return control.tokens.create(request, CALL);
}

function canJoin(text: Uint8Array): boolean {
  const { id: _id, seed, pin } = parseToken(text);
  const message = Uint8Array.of(1, 2, 3);
  const signature = signJoin(seed, message);
  expect([...pin]).toEqual(Array<number>(32).fill(3));
  return [...control.state.tokens()].some(
    (row) =>
      !row.isRevoked &&
      row.publicKey.length === 32 &&
      verifyJoin(row.publicKey, message, signature),
  );
}

describe('tokens', () => {
  test.each([
    ['worker', 24 * HOUR_MS],
    ['manager', HOUR_MS],
  ])('for a %s is good once for its default time', async (role, ttlMs) => {
    const { token, text, joinAddresses } = await create({ role });
    expect(token).toMatchObject({
      role,
      usesLeft: 1,
      expiresAtMs: control.time.now() + ttlMs,
      revoked: false,
    });
    expect(joinAddresses).toEqual(['alpha:7421']);
    expect(canJoin(text ?? new Uint8Array(0))).toBe(true);
  });

  test.each<Partial<CreateTokenRequest>>([
    { role: '' },
    { role: 'admin' },
    { uses: 10_001 },
    { ttlMs: 999 },
    { ttlMs: 31 * 24 * HOUR_MS },
  ])('are refused: %p', async (fields) => {
    await expect(create(fields)).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
  });

  test('are listed without their text', async () => {
    const { token, text } = await create({ uses: 3 });
    const listed = await collect(control.tokens.list({}, CALL));
    expect(listed.map((row) => row.id)).toContain(token?.id);
    const seedText =
      Buffer.from(text ?? [])
        .toString('latin1')
        .split('-')[4] ?? '';
    expect(JSON.stringify(listed)).not.toContain(seedText);
  });

  test('a repeated key leaves one token that somebody has the text of', async () => {
    const first = await create({ idempotencyKey: 'key' });
    const second = await create({ idempotencyKey: 'key' });
    expect(second.token?.id).not.toBe(first.token?.id);
    expect(canJoin(first.text ?? new Uint8Array(0))).toBe(false);
    expect(canJoin(second.text ?? new Uint8Array(0))).toBe(true);
  });

  test('a late try whose caller has gone takes nothing away', async () => {
    const first = await create({ idempotencyKey: 'key', needsApproval: false });
    const request = {
      role: 'worker',
      uses: 0,
      ttlMs: 0,
      idempotencyKey: 'key',
      needsApproval: false,
    };
    const signal = AbortSignal.abort();
    await expect(control.tokens.create(request, { ...CALL, signal })).rejects.toEqual(
      code('CV_CANCELLED'),
    );
    expect(canJoin(first.text ?? new Uint8Array(0))).toBe(true);
  });

  test('revoke ends a token; unknown and malformed ids have their codes', async () => {
    const { token, text } = await create({});
    await control.tokens.revoke({ id: token?.id ?? '', idempotencyKey: '' }, CALL);
    expect(canJoin(text ?? new Uint8Array(0))).toBe(false);
    const revoke = (id: string): Promise<unknown> =>
      control.tokens.revoke({ id, idempotencyKey: '' }, CALL);
    await expect(revoke('')).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(revoke('x')).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(revoke('a'.repeat(13))).rejects.toEqual(code('CV_TOKEN_NOT_FOUND'));
  });
});
