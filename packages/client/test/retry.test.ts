import { describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import type { ErrorCode } from '@conclave/kernel';
import fc from 'fast-check';
import { collect, failing, hang, stage } from './support/fake-port.js';

const error = (code: ErrorCode, retryAfterMs?: number): ConclaveError =>
  new ConclaveError(code, 'no', retryAfterMs === undefined ? {} : { retryAfterMs });

describe('a write', () => {
  test.each<ErrorCode>([
    'CV_NO_LEADER',
    'CV_NOT_LEADER',
    'CV_OUTCOME_UNKNOWN',
    'CV_PEER_UNREACHABLE',
    'CV_STATE_STALE',
  ])('is repeated after %s with the same key and the same bytes', async (code) => {
    const { attempts, client, time } = stage({
      'Secrets/Rollback': failing(3, () => error(code), { version: 1 }),
    });
    await time.finish(client.secrets.rollback('a', 1));
    expect(attempts).toHaveLength(4);
    const [first] = attempts;
    for (const attempt of attempts) {
      expect(attempt.request).toBe(first?.request);
      expect(attempt.options.idempotencyKey).toBe(first?.request.idempotencyKey);
    }
    expect(first?.request.idempotencyKey).toMatch(/^[a-z2-7]{26}$/);
  });

  test.each<ErrorCode>(['CV_SECRET_NOT_FOUND', 'CV_VERSION_STALE', 'CV_ROLE_FORBIDDEN'])(
    'is not repeated after %s',
    async (code) => {
      const { attempts, client, time } = stage({
        'Secrets/Remove': () => {
          throw error(code);
        },
      });
      await expect(time.finish(client.secrets.remove('a'))).rejects.toMatchObject({ code });
      expect(attempts).toHaveLength(1);
    },
  );

  test('draws another key for another write', async () => {
    const { attempts, client, time } = stage({ 'Secrets/Remove': () => ({ index: 1 }) });
    await time.finish(client.secrets.remove('a'));
    await time.finish(client.secrets.remove('a'));
    expect(attempts[0]?.request.idempotencyKey).not.toBe(attempts[1]?.request.idempotencyKey);
  });

  test('takes the key that is given', async () => {
    const { attempts, client, time } = stage({ 'Secrets/Remove': () => ({ index: 1 }) });
    await time.finish(client.secrets.remove('a', { idempotencyKey: 'mine' }));
    expect(attempts[0]?.request.idempotencyKey).toBe('mine');
  });

  test.each(['', 'x'.repeat(65), 'two words', 'line\nfeed'])('refuses the key %j', async (key) => {
    const { attempts, client } = stage({});
    const refused = client.secrets.remove('a', { idempotencyKey: key });
    await expect(refused).rejects.toMatchObject({ code: 'CV_ARGUMENT_INVALID' });
    expect(attempts).toHaveLength(0);
  });

  test('ends within its deadline while there is no leader', async () => {
    const { client, time } = stage({
      'Secrets/Remove': () => {
        throw error('CV_NO_LEADER');
      },
    });
    const work = time.finish(client.secrets.remove('a', { deadlineMs: 5_000 }));
    await expect(work).rejects.toMatchObject({ code: 'CV_NO_LEADER' });
    expect(time.nowMs).toBeGreaterThan(3_500);
    expect(time.nowMs).toBeLessThanOrEqual(5_000);
  });

  test('gives up long before its deadline when nothing but "no leader" is heard', async () => {
    const { client, time } = stage({
      'Secrets/Remove': () => {
        throw error('CV_NO_LEADER');
      },
    });
    const work = time.finish(client.secrets.remove('a', { deadlineMs: 60_000 }));
    await expect(work).rejects.toMatchObject({ code: 'CV_NO_LEADER' });
    expect(time.nowMs).toBeGreaterThan(4_000);
    expect(time.nowMs).toBeLessThanOrEqual(6_000);
  });

  test('goes on while managers answer differently, as during changes of the leader', async () => {
    let count = 0;
    const { client, time } = stage({
      'Secrets/Remove': () => {
        count += 1;
        if (time.nowMs > 20_000) return { index: 1 };
        throw error(count % 3 === 0 ? 'CV_NOT_LEADER' : 'CV_NO_LEADER');
      },
    });
    await time.finish(client.secrets.remove('a', { deadlineMs: 30_000 }));
    expect(time.nowMs).toBeGreaterThan(20_000);
  });

  test('says that the outcome is open when an attempt may have arrived', async () => {
    let count = 0;
    const { client, time } = stage({
      'Secrets/Remove': () => {
        count += 1;
        throw error(count === 1 ? 'CV_OUTCOME_UNKNOWN' : 'CV_NO_LEADER');
      },
    });
    const work = time.finish(client.secrets.remove('a', { deadlineMs: 900, idempotencyKey: 'k1' }));
    await expect(work).rejects.toMatchObject({
      code: 'CV_OUTCOME_UNKNOWN',
      hint: expect.stringContaining('k1'),
      details: { idempotencyKey: 'k1', lastCode: 'CV_NO_LEADER' },
    });
  });

  test.each<[ErrorCode, ErrorCode]>([
    ['CV_DISK_FULL', 'CV_OUTCOME_UNKNOWN'],
    ['CV_ROLE_FORBIDDEN', 'CV_OUTCOME_UNKNOWN'],
    ['CV_NAME_TAKEN', 'CV_NAME_TAKEN'],
  ])('a later %s leaves %s', async (last, told) => {
    let count = 0;
    const { client, time } = stage({
      'Secrets/Remove': () => {
        count += 1;
        throw error(count === 1 ? 'CV_PEER_UNREACHABLE' : last);
      },
    });
    await expect(time.finish(client.secrets.remove('a'))).rejects.toMatchObject({ code: told });
  });

  test('says so too when the only attempt got no answer', async () => {
    const { client, time } = stage({
      'Secrets/Remove': () => {
        throw error('CV_DEADLINE');
      },
    });
    const work = time.finish(client.secrets.remove('a'));
    await expect(work).rejects.toMatchObject({ code: 'CV_OUTCOME_UNKNOWN' });
  });

  test('waits at least as long as the answer asks', async () => {
    const { attempts, client, time } = stage({
      'Secrets/Remove': failing(1, () => error('CV_NO_LEADER', 2_000), { index: 1 }),
    });
    await time.finish(client.secrets.remove('a'));
    expect(attempts[1]?.atMs).toBeGreaterThanOrEqual(2_000);
  });

  test('stops when it is cancelled, also during a pause', async () => {
    const control = new AbortController();
    const { attempts, client, time } = stage({
      'Secrets/Remove': () => {
        throw error('CV_NO_LEADER');
      },
    });
    const work = client.secrets.remove('a', { signal: control.signal });
    await time.settle();
    control.abort();
    await expect(work).rejects.toMatchObject({ code: 'CV_CANCELLED' });
    expect(attempts).toHaveLength(1);
    expect(time.timerCount).toBe(0);
  });

  test('says that it may be done when it is cancelled on its way', async () => {
    const control = new AbortController();
    const { client, time } = stage({ 'Secrets/Remove': ({ options }) => hang(options.signal) });
    const work = client.secrets.remove('a', { signal: control.signal });
    await time.settle();
    control.abort();
    await expect(work).rejects.toMatchObject({
      code: 'CV_CANCELLED',
      message: 'interrupted; the write may or may not be done',
    });
  });

  test('hides nothing that is not ours', async () => {
    const { client, time } = stage({
      'Secrets/Remove': () => {
        throw new TypeError('a defect');
      },
    });
    await expect(time.finish(client.secrets.remove('a'))).rejects.toThrow('a defect');
  });
});

test('pauses grow, never beyond their ceiling, and no deadline is overrun', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 60_000 }), async (deadlineMs) => {
      const { attempts, client, time } = stage({
        'Nodes/Get': () => {
          throw error('CV_NO_LEADER');
        },
      });
      const work = time.finish(client.nodes.get('a', { deadlineMs }));
      await expect(work).rejects.toMatchObject({ code: 'CV_NO_LEADER' });
      expect(time.nowMs).toBeLessThanOrEqual(deadlineMs);
      for (const [offset, attempt] of attempts.entries()) {
        const pauseMs = attempt.atMs - (attempts[offset - 1]?.atMs ?? 0);
        expect(pauseMs).toBeLessThanOrEqual(1_000);
        expect(attempt.options.deadlineMs).toBeLessThanOrEqual(deadlineMs - attempt.atMs);
      }
    }),
    { numRuns: 20 },
  );
});

describe('a list', () => {
  const page = (...ids: string[]): object => ({ nodes: ids.map((id) => ({ id })) });

  test('is opened again until its first item', async () => {
    const { attempts, client, time } = stage({
      'Nodes/List': failing(2, () => error('CV_NO_LEADER'), [page('1', '2'), page('3')]),
    });
    const nodes = await time.finish(collect(client.nodes.list()));
    expect(nodes).toEqual([{ id: '1' }, { id: '2' }, { id: '3' }]);
    expect(attempts).toHaveLength(3);
  });

  test('is not opened again after its first item: nothing comes twice', async () => {
    const { attempts, client, time } = stage({
      'Nodes/List': async function* () {
        yield page('1');
        await Promise.resolve();
        throw error('CV_PEER_UNREACHABLE');
      },
    });
    const seen: unknown[] = [];
    const work = (async () => {
      for await (const node of client.nodes.list()) seen.push(node);
    })();
    await expect(time.finish(work)).rejects.toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
    expect(seen).toHaveLength(1);
    expect(attempts).toHaveLength(1);
  });

  test('ends with a deadline when nothing comes', async () => {
    const { client, time } = stage({
      'Nodes/List': ({ options }) => hang(options.signal),
    });
    const work = time.finish(collect(client.nodes.list({ deadlineMs: 700 })));
    await expect(work).rejects.toMatchObject({ code: 'CV_DEADLINE' });
    expect(time.nowMs).toBe(700);
  });

  test('may take any time after its first item', async () => {
    const { client, time } = stage({
      'Nodes/List': async function* () {
        yield page('1');
        await new Promise<void>((resolve) => {
          time.after(60_000, resolve);
        });
        yield page('2');
      },
    });
    expect(await time.finish(collect(client.nodes.list()))).toHaveLength(2);
    expect(time.nowMs).toBe(60_000);
  });

  test('is cancelled when the loop is left', async () => {
    let signal: AbortSignal | undefined;
    const { client, time } = stage({
      'Nodes/List': async function* ({ options }) {
        signal = options.signal;
        yield page('1');
        yield page('2');
      },
    });
    const work = (async () => {
      for await (const _ of client.nodes.list()) break;
    })();
    await time.finish(work);
    expect(signal?.aborted).toBe(true);
    expect(time.timerCount).toBe(0);
  });
});
