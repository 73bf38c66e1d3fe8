import { describe, expect, test } from '@jest/globals';
import { Metadata, status as STATUS } from '@grpc/grpc-js';
import { ConclaveError, ERROR_TABLE } from '@conclave/kernel';
import type { ErrorCode } from '@conclave/kernel';
import { ERROR_TRAILER, errorOf, statusOf } from '../src/index.js';
import { encodeErrorDetail } from '../src/codec.js';

const codes = Object.keys(ERROR_TABLE) as ErrorCode[];
const expected = codes.filter((code) => ERROR_TABLE[code].kind !== 'defect');

describe('errors across the wire', () => {
  test.each(expected)('%s arrives as itself, under the status of the table', (code) => {
    const error = new ConclaveError(code, 'what happened', {
      hint: 'what to do',
      retryAfterMs: 100,
      details: { count: 3, isLeader: true, names: ['a', 'b'], text: 'x' },
    });
    const status = statusOf(error);
    expect(STATUS[status.code]).toBe(ERROR_TABLE[code].status);
    expect(errorOf(status)).toMatchObject({
      code,
      kind: ERROR_TABLE[code].kind,
      message: 'what happened',
      hint: 'what to do',
      retryAfterMs: 100,
      details: { count: '3', isLeader: 'true', names: 'a, b', text: 'x' },
    });
  });

  test('without a pause there is none', () => {
    expect(errorOf(statusOf(new ConclaveError('CV_NO_LEADER', 'x'))).retryAfterMs).toBeUndefined();
  });

  test.each([
    ['of another kind', new TypeError('hunter2')],
    ['that is no error', 'hunter2'],
    [
      'that is a defect',
      new ConclaveError('CV_INTERNAL', 'hunter2', { details: { text: 'hunter2' } }),
    ],
  ])('an error %s keeps its text to itself', (_what, error) => {
    const status = statusOf(error);
    const wire =
      JSON.stringify(status) + Buffer.from(status.metadata.get(ERROR_TRAILER)[0] ?? '').toString();
    expect(wire).not.toContain('hunter2');
    expect(errorOf(status)).toMatchObject({ code: 'CV_INTERNAL', message: 'internal error' });
  });

  test.each(['y', '\u4e2d'])('all texts of %s together stay below the header limit', (letter) => {
    const details = Object.fromEntries(
      Array.from({ length: 50 }, (_, index) => [`d${index}`, letter.repeat(5_000)]),
    );
    const long = letter.repeat(50_000);
    const status = statusOf(new ConclaveError('CV_NAME_TAKEN', long, { hint: long, details }));
    const trailer = (status.metadata.get(ERROR_TRAILER)[0] ?? '') as Buffer;
    const size = encodeURI(status.details).length + trailer.toString('base64').length;
    expect(size).toBeLessThan(15 * 1024);
    const error = errorOf(status);
    expect(error.details['d0']).toMatch(/\.\.\.$/);
    expect(error.message.length).toBe(512);
  });

  test.each([
    ['CANCELLED', 'CV_CANCELLED'],
    ['UNKNOWN', 'CV_PROTOCOL'],
    ['INVALID_ARGUMENT', 'CV_ARGUMENT_INVALID'],
    ['DEADLINE_EXCEEDED', 'CV_DEADLINE'],
    ['NOT_FOUND', 'CV_PROTOCOL'],
    ['PERMISSION_DENIED', 'CV_ROLE_FORBIDDEN'],
    ['RESOURCE_EXHAUSTED', 'CV_LIMIT_EXCEEDED'],
    ['OUT_OF_RANGE', 'CV_PROTOCOL'],
    ['UNIMPLEMENTED', 'CV_UNSUPPORTED'],
    ['INTERNAL', 'CV_PEER_UNREACHABLE'],
    ['UNAVAILABLE', 'CV_PEER_UNREACHABLE'],
    ['DATA_LOSS', 'CV_PROTOCOL'],
    ['UNAUTHENTICATED', 'CV_UNAUTHENTICATED'],
  ] as const)('a foreign %s becomes %s, in words of ours', (name, code) => {
    const foreign = { code: STATUS[name], details: 'Received RST_STREAM with code 2' };
    const error = errorOf(foreign);
    expect(error).toMatchObject({ code, cause: foreign });
    expect(error.message).toMatch(/^(the|a|no) [a-z ]+$/);
  });

  test('a status without a number, or with an unknown one', () => {
    expect(errorOf({})).toMatchObject({ code: 'CV_PROTOCOL' });
    expect(errorOf({ code: 99 })).toMatchObject({ code: 'CV_PROTOCOL' });
  });

  test('a code of a newer version becomes the nearest one of ours', () => {
    const metadata = new Metadata();
    metadata.set(ERROR_TRAILER, encodeErrorDetail({ code: 'CV_FROM_TOMORROW', hint: 'h' }));
    const error = errorOf({ code: STATUS.PERMISSION_DENIED, details: 'd', metadata });
    expect(error).toMatchObject({ code: 'CV_ROLE_FORBIDDEN', message: 'd' });
  });

  test('a trailer of rubbish does no harm', () => {
    const metadata = new Metadata();
    metadata.set(ERROR_TRAILER, Buffer.from([0xff, 0xff, 0xff]));
    const error = errorOf({ code: STATUS.UNAVAILABLE, details: 'd', metadata });
    expect(error).toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
  });
});
