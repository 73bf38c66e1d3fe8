import { beforeEach, describe, expect, test } from '@jest/globals';
import { encodeBase32 } from '@conclave/kernel';
import { createSigningKey, encodeToken, parseToken, signJoin, verifyJoin } from '@conclave/sealed';
import type { TokenRole } from '@conclave/sealed';
import type { CreateTokenRequest, CreateTokenResponseInput } from '@conclave/wire';
import { CALL, collect, TestControl } from './cluster.js';

let control: TestControl;
beforeEach(async () => {
  control = await TestControl.open();
});

const code = (name: string): unknown => expect.objectContaining({ code: name });
const HOUR_MS = 3_600_000;

/** What a command sends, and the text that it would print with the answer. */
function ask(fields: Partial<CreateTokenRequest> = {}): {
  readonly request: CreateTokenRequest;
  readonly textOf: (response: CreateTokenResponseInput) => Uint8Array;
} {
  const { publicKey, privateKey: seed } = createSigningKey(control.random);
  const id = Buffer.from(control.random.bytes(8));
  const unsaid = { role: 'worker', uses: 0, ttlMs: 0, idempotencyKey: '', needsApproval: false };
  const anyHost = { addressRanges: [], hostnamePattern: '' };
  return {
    request: { ...unsaid, ...anyHost, id, publicKey: Buffer.from(publicKey), ...fields },
    textOf: ({ token, pin = new Uint8Array(0) }) => {
      const text = encodeToken({ role: token?.role as TokenRole, pin, id, seed });
      return text.use((view) => Uint8Array.from(view));
    },
  };
}

async function create(
  fields: Partial<CreateTokenRequest>,
): Promise<CreateTokenResponseInput & { readonly text: Uint8Array }> {
  const { request, textOf } = ask(fields);
  const response = await control.tokens.create(request, CALL);
  return { ...response, text: textOf(response) };
}

function canJoin(text: Uint8Array): boolean {
  const { id, seed, pin } = parseToken(text);
  const message = Uint8Array.of(1, 2, 3);
  const signature = signJoin(seed, message);
  expect([...pin]).toEqual(Array<number>(32).fill(3));
  const row = control.state.tokenById(encodeBase32(id));
  if (row === undefined || row.isRevoked) return false;
  return verifyJoin(row.publicKey, message, signature);
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
    expect(canJoin(text)).toBe(true);
  });

  test.each<Partial<CreateTokenRequest>>([
    { role: '' },
    { role: 'admin' },
    { uses: 10_001 },
    { ttlMs: 999 },
    { ttlMs: 31 * 24 * HOUR_MS },
    { addressRanges: ['10.0.0.0/33'] },
    { addressRanges: ['everywhere'] },
    { addressRanges: Array<string>(17).fill('10.0.0.0/8') },
    { hostnamePattern: 'web_*' },
    { hostnamePattern: 'w'.repeat(256) },
    { id: Buffer.alloc(7) },
    { publicKey: Buffer.alloc(0) },
    { publicKey: Buffer.alloc(33) },
  ])('are refused: %p', async (fields) => {
    await expect(create(fields)).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
  });

  test('are listed with what they admit', async () => {
    const limits = { addressRanges: ['10.0.0.0/8', 'fd00::1'], hostnamePattern: 'web-*' };
    const { token } = await create({ uses: 3, ...limits });
    const listed = await collect(control.tokens.list({}, CALL));
    const found = listed.find(({ id }) => id === token?.id);
    expect(found).toMatchObject({ usesLeft: 3, ...limits });
  });

  test('nothing that a manager hears, answers or keeps has the seed', async () => {
    const { request, textOf } = ask();
    const response = await control.tokens.create(request, CALL);
    const { seed } = parseToken(textOf(response));
    const row = control.state.tokenById(response.token?.id ?? '');
    const bytes = [request, response, row]
      .flatMap((message): unknown[] => Object.values(message ?? {}))
      .filter((value): value is Uint8Array => value instanceof Uint8Array);
    expect(bytes.length).toBeGreaterThan(3);
    seed.use((view) => {
      for (const found of bytes) expect(Buffer.from(found).includes(Buffer.from(view))).toBe(false);
    });
  });

  test('a repeated key leaves one token that somebody has the text of', async () => {
    const first = await create({ idempotencyKey: 'key' });
    const second = await create({ idempotencyKey: 'key' });
    expect(second.token?.id).not.toBe(first.token?.id);
    expect(canJoin(first.text)).toBe(false);
    expect(canJoin(second.text)).toBe(true);
  });

  test('a request whose answer was lost is answered again, with the same token', async () => {
    await create({ idempotencyKey: 'key' });
    const { request, textOf } = ask({ idempotencyKey: 'key' });
    const before = await control.tokens.create(request, CALL);
    const again = await control.tokens.create(request, CALL);
    expect(again).toMatchObject({ index: before.index, token: { id: before.token?.id } });
    expect(canJoin(textOf(again))).toBe(true);
  });

  test('a late try whose caller has gone takes nothing away', async () => {
    const first = await create({ idempotencyKey: 'key' });
    const { request } = ask({ idempotencyKey: 'key' });
    const signal = AbortSignal.abort();
    await expect(control.tokens.create(request, { ...CALL, signal })).rejects.toEqual(
      code('CV_CANCELLED'),
    );
    expect(canJoin(first.text)).toBe(true);
  });

  test('revoke ends a token; unknown and malformed ids have their codes', async () => {
    const { token, text } = await create({});
    await control.tokens.revoke({ id: token?.id ?? '', idempotencyKey: '' }, CALL);
    expect(canJoin(text)).toBe(false);
    const revoke = (id: string): Promise<unknown> =>
      control.tokens.revoke({ id, idempotencyKey: '' }, CALL);
    await expect(revoke('')).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(revoke('x')).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(revoke('a'.repeat(13))).rejects.toEqual(code('CV_TOKEN_NOT_FOUND'));
  });
});
