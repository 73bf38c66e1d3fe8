import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  assert,
  ConclaveError,
  concatBytes,
  createId,
  decodeBase32,
  delay,
  encodeBase32,
  equalBytes,
  ERROR_TABLE,
  EXIT_CODES,
  InvariantViolation,
  isConclaveError,
  isErrorCode,
  isId,
  jitter,
  limits,
  required,
  toConclaveError,
  toHex,
  VERSION,
} from '../src/index.js';
import type { Random, Timers } from '../src/index.js';

const counting = (): Random => {
  let next = 0;
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => (next++ * 31) % 256),
    below: (limit) => next++ % limit,
  };
};

describe('base32', () => {
  test('every byte string has exactly one text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const text = encodeBase32(bytes);
        expect(text).toMatch(/^[a-z2-7]*$/);
        expect(decodeBase32(text)).toEqual(bytes);
      }),
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), (text) => {
        const bytes = decodeBase32(text);
        if (bytes !== undefined) expect(encodeBase32(bytes)).toBe(text);
      }),
    );
  });
});

describe('ids', () => {
  test('an id is 26 letters that decode to 128 bits', () => {
    const random = counting();
    for (let draw = 0; draw < 200; draw += 1) {
      const id = createId(random);
      expect(isId(id)).toBe(true);
      expect(decodeBase32(id)).toHaveLength(16);
    }
    for (const text of ['', 'a', 'A'.repeat(26), `${'a'.repeat(25)}b`, '1'.repeat(26)]) {
      expect(isId(text)).toBe(false);
    }
  });
});

describe('errors', () => {
  test('every code has a kind with an exit code, a cause and an advice', () => {
    for (const [code, row] of Object.entries(ERROR_TABLE)) {
      expect(isErrorCode(code)).toBe(true);
      expect(EXIT_CODES[row.kind]).toBeGreaterThanOrEqual(64);
      expect(row.when.endsWith('.')).toBe(true);
      expect(row.next.length).toBeGreaterThan(5);
    }
    expect(isErrorCode('toString')).toBe(false);
  });

  test('one of ours is found behind the error of a library', () => {
    const ours = new ConclaveError('CV_LOG_DAMAGED', 'damaged');
    const wrapped = new Error('outer', { cause: new Error('middle', { cause: ours }) });
    expect(toConclaveError(wrapped)).toBe(ours);
    expect(toConclaveError(ours)).toBe(ours);
  });

  test('anything else is internal and tells nothing', () => {
    for (const thrown of [new Error('secret path'), 'text', undefined, null, { cause: 1 }]) {
      const error = toConclaveError(thrown);
      expect(error.code).toBe('CV_INTERNAL');
      expect(error.message).toBe('internal error');
    }
  });

  test('copies of the package recognise each other', () => {
    const foreign = { [Symbol.for('conclave.error')]: true };
    expect(isConclaveError(foreign)).toBe(true);
    expect(isConclaveError(new Error('no'))).toBe(false);
  });

  test('assertions are no errors that anybody handles', () => {
    expect(() => assert(false, 'broken')).toThrow(InvariantViolation);
    expect(() => required(undefined, 'thing')).toThrow('thing is absent');
    expect(required(0, 'zero')).toBe(0);
  });
});

describe('bytes, time and limits', () => {
  test('bytes are put together, compared and shown', () => {
    const whole = concatBytes(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(255));
    expect(toHex(whole)).toBe('01ff');
    expect(equalBytes(whole, Uint8Array.of(1, 255))).toBe(true);
    expect(equalBytes(whole, Uint8Array.of(1))).toBe(false);
  });

  test('a delay ends by its timer or at once by its signal', async () => {
    const waiting: (() => void)[] = [];
    const timers: Timers = {
      after: (_delayMs, callback) => {
        waiting.push(callback);
        return { cancel: () => undefined };
      },
      every: () => ({ cancel: () => undefined }),
    };
    const elapsed = delay(timers, 5);
    waiting[0]?.();
    expect(await elapsed).toBe('elapsed');
    const stop = new AbortController();
    const aborted = delay(timers, 5, stop.signal);
    stop.abort();
    expect(await aborted).toBe('aborted');
    expect(await delay(timers, 5, stop.signal)).toBe('aborted');
  });

  test('jitter stays within its share', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (base, share) => {
          const value = jitter(counting(), base, share);
          expect(Math.abs(value - base)).toBeLessThanOrEqual(base * share);
        },
      ),
    );
  });

  test('the limits fit into each other', () => {
    expect(limits.SECRET_VALUE_BYTES_DEFAULT).toBeLessThanOrEqual(limits.SECRET_VALUE_BYTES_MAX);
    expect(limits.SECRET_VALUE_BYTES_MAX * 1.125).toBeLessThan(limits.PROPOSAL_BYTES_MAX);
    expect(limits.PROPOSAL_BYTES_MAX).toBeLessThan(limits.REQUEST_BYTES_MAX);
    expect(limits.SECRET_SEGMENT_LENGTH_MAX).toBeLessThan(limits.SECRET_NAME_BYTES_MAX);
    expect(limits.DELIVERY_PART_BYTES_MAX).toBeLessThan(limits.STREAM_QUEUE_BYTES_MAX);
  });

  test('the version is that of the package', () => {
    const manifest = JSON.parse(
      readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
    ) as { version: string };
    expect(VERSION).toBe(manifest.version);
  });
});
