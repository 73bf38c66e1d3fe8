import { Writable } from 'node:stream';
import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ConclaveError } from '@conclave/kernel';
import { isSafeField, openLog, SAFE_FIELDS, safeFields, scrub } from '../src/index.js';
import type { Log, LogFormat, LogLevel } from '../src/index.js';

const MARK = 'hunter2';

function open(
  level: LogLevel = 'debug',
  format: LogFormat = 'json',
): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  const clock = { now: () => Date.UTC(2030, 0, 2, 3, 4, 5, 6), monotonic: () => 0 };
  return { log: openLog({ level, format, destination, clock, fields: { nodeId: 'n1' } }), lines };
}

describe('the log', () => {
  test('json: one object per line, time of the clock, fields of the log and of the line', async () => {
    const { log, lines } = open();
    log.logger.info('task.started', { taskId: 't1', exitCode: 0 });
    await log.close();
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      time: '2030-01-02T03:04:05.006Z',
      level: 'info',
      event: 'task.started',
      nodeId: 'n1',
      taskId: 't1',
      exitCode: 0,
    });
    expect(lines[0]?.endsWith('\n')).toBe(true);
  });

  test('pretty: one line for people, nothing in it can begin another one', async () => {
    const { log, lines } = open('debug', 'pretty');
    log.logger.warn('odd\nERROR forged', { reason: 'a\n2030 INFO forged', path: '/run/x' });
    await log.close();
    expect(lines).toEqual([
      '2030-01-02T03:04:05.006Z WARN  odd ERROR forged  nodeId=n1 ' +
        'reason="a\\n2030 INFO forged" path=/run/x\n',
    ]);
  });

  test('the level holds at once', async () => {
    const { log, lines } = open('warn');
    log.logger.info('quiet');
    log.setLevel('debug');
    log.logger.debug('loud');
    log.setLevel('error');
    log.logger.warn('quiet');
    log.logger.error('loud');
    await log.close();
    expect(lines).toHaveLength(2);
  });
});

describe('a destination that takes nothing', () => {
  test('costs lines, not memory, and the log says so afterwards', async () => {
    const lines: string[] = [];
    let take: (() => void) | undefined;
    let isOpen = false;
    const destination = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        lines.push(String(chunk));
        if (isOpen) done();
        else take = done;
      },
    });
    const clock = { now: () => 0, monotonic: () => 0 };
    const log = openLog({ level: 'info', format: 'json', destination, clock });
    for (let count = 0; count < 5_000; count += 1) {
      log.logger.info('x', { reason: 'y '.repeat(500) });
    }
    expect(destination.writableLength).toBeLessThan(2 * 1024 * 1024);
    isOpen = true;
    take?.();
    while (destination.writableLength > 0) await new Promise((resolve) => setImmediate(resolve));
    log.logger.info('again');
    await log.close();
    expect(lines.at(-2)).toMatch(/"event":"log.lines-lost","count":[0-9]{4}/);
    expect(lines.at(-1)).toContain('again');
  });
});

describe('what a line may hold', () => {
  test('names that are not listed are dropped, and named', () => {
    expect(safeFields({ taskId: 't', request: MARK, headers: MARK })).toEqual({
      taskId: 't',
      dropped: ['request', 'headers'],
    });
  });

  test('bytes become their count', () => {
    const bytes = new TextEncoder().encode(MARK);
    const fields = safeFields({ id: bytes, count: Buffer.from(bytes), size: bytes.buffer });
    expect(fields).toEqual({ id: '[7 bytes]', count: '[7 bytes]', size: '[7 bytes]' });
  });

  test('instances show nothing of themselves', () => {
    class Holder {
      readonly secret = MARK;
      toJSON(): string {
        return MARK;
      }
      toString(): string {
        return MARK;
      }
      [inspect.custom](): string {
        return MARK;
      }
    }
    const text = JSON.stringify(
      safeFields({ id: new Holder(), state: new Map([[MARK, MARK]]), code: () => MARK }),
    );
    expect(text).toBe('{"id":"[Holder]","state":"[Map]","code":"[function]"}');
  });

  test('objects are filtered by the same lists, to a depth', () => {
    const fields = safeFields({
      state: { id: 'a', password: MARK, from: { id: 'b', from: { from: { id: 'c' } } } },
    });
    expect(fields).toEqual({
      state: { id: 'a', from: { id: 'b', from: { from: '[deep]' } }, dropped: ['password'] },
    });
  });

  test('errors: code, message, causes to a depth; no frames for expected ones', () => {
    const cause = new Error('disk', { cause: { request: MARK } });
    const error = new ConclaveError('CV_STORE_FAILED', 'the disk refused', { cause });
    const { error: safe } = safeFields({ error });
    expect(safe).toMatchObject({
      code: 'CV_STORE_FAILED',
      message: 'the disk refused',
      cause: { code: 'Error', message: 'disk', cause: '[object]' },
    });
    expect(safe).not.toHaveProperty('frames');
    expect(JSON.stringify(safe)).not.toContain(MARK);
  });

  test('errors: a loop of causes ends', () => {
    const first = new Error('first');
    first.cause = new Error('second', { cause: first });
    expect(JSON.stringify(safeFields({ error: first })).length).toBeLessThan(20_000);
  });

  test('errors: frames of a defect, without the message', () => {
    const text = JSON.stringify(safeFields({ error: new TypeError('x'.repeat(5_000)) }));
    expect(text).toContain('at ');
    expect(text.length).toBeLessThan(4_000);
  });

  test.each([
    'cvj1-w-abcdefghijklmnop-abcdefgh-234567abcdefgh-abcd',
    '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----',
    '-----BEGIN EC PRIVATE KEY-----\nMIGHAgEAMBMG',
    'Authorization: Bearer abcdef0123456789',
    'aGVsbG8gd29ybGQgdGhpcyBpcyBhIHNlY3JldCBrZXkgb2YgMzIgYnl0ZXM9',
  ])('texts that look secret are scrubbed: %#', (text) => {
    for (const around of [text, `the token ${text} was refused`]) {
      const safe = JSON.stringify(safeFields({ reason: around, error: new Error(around) }));
      expect(safe).toContain('[scrubbed]');
      for (const word of text.split(/\s|-----/).filter((part) => part.length > 11)) {
        if (!/^(BEGIN|END|Authorization)/.test(word)) expect(safe).not.toContain(word);
      }
    }
  });

  test.each([
    'abcdefghij234567abcdefghij',
    'a'.repeat(64),
    '/var/lib/conclave/data',
    'CV_NO_LEADER',
  ])('ids, digests, paths and codes stay: %s', (text) => expect(scrub(text)).toBe(text));

  test('every listed name is a safe one', () => {
    expect([...SAFE_FIELDS].filter((name) => !isSafeField(name))).toEqual([]);
    expect([...SAFE_FIELDS]).toEqual([...SAFE_FIELDS].sort());
  });

  test.each([
    'password',
    'secret',
    'secretValue',
    'token',
    'joinToken',
    'privateKey',
    'key',
    'pem',
    'env',
  ])('%s is never one', (name) => expect(isSafeField(name)).toBe(false));

  test('whatever is logged, it is one bounded line of JSON', async () => {
    const { log, lines } = open();
    fc.assert(
      fc.property(
        fc.string(),
        fc.dictionary(fc.constantFrom(...SAFE_FIELDS), fc.anything()),
        (event, fields) => {
          const before = lines.length;
          log.logger.info(event, fields);
          const line = lines[before] ?? '';
          expect(lines).toHaveLength(before + 1);
          expect(line.indexOf('\n')).toBe(line.length - 1);
          expect(JSON.parse(line)).toMatchObject({ level: 'info' });
        },
      ),
      { numRuns: 300 },
    );
    await log.close();
  });
});
