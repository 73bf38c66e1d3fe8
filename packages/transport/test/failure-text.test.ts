import { expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import { statusOf } from '@conclave/wire';
import { status as STATUS } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { failureOf } from '../src/call-spec.js';
import type { CallTarget } from '../src/call-spec.js';
import type { ConnectorState } from '../src/connector.js';

const targetWith = (fields: Partial<ConnectorState> = {}): CallTarget =>
  ({
    state: {
      address: 'h:1',
      lastError: undefined,
      openCount: 0,
      peerCertificateDer: undefined,
      ...fields,
    },
  }) as CallTarget;

const failed = (details: string, code: number = STATUS.UNAVAILABLE): ServiceError =>
  ({ code, details }) as ServiceError;

test.each([
  ['Name resolution failed for target dns:h:1', 'the host name of h:1 is not known'],
  ['No connection established. Last error: connect ECONNREFUSED h:1', 'nobody listens at h:1'],
  ['No connection established. Last error: connect EHOSTUNREACH', 'there is no way to h:1'],
  ['No connection established. Last error: null', 'h:1 does not answer'],
  ['Connection dropped', 'the connection to h:1 broke'],
])('what a library says of a connection becomes a sentence of ours: %s', (details, message) => {
  for (const openCount of [0, 1]) {
    const failure = failureOf(targetWith({ openCount }), failed(details));
    expect(failure).toMatchObject({ code: 'CV_PEER_UNREACHABLE', message });
  }
});

test('a deadline without a connection is an address that does not answer', () => {
  const late = failed('Deadline exceeded after 2s,waiting for a pick', STATUS.DEADLINE_EXCEEDED);
  const failure = failureOf(targetWith(), late);
  expect(failure).toMatchObject({ code: 'CV_PEER_UNREACHABLE', message: 'h:1 does not answer' });
  const open = failureOf(targetWith({ openCount: 1 }), late);
  expect(open).toMatchObject({ code: 'CV_DEADLINE', message: 'no answer came in time' });
});

test('why the last attempt failed counts more than what followed from it', () => {
  const lastError = new ConclaveError('CV_CA_MISMATCH', 'another cluster');
  expect(failureOf(targetWith({ lastError }), failed('No connection established'))).toBe(lastError);
});

test('an answer of the peer is not taken for a failed connection', () => {
  const { code, details, metadata } = statusOf(new ConclaveError('CV_PEER_UNREACHABLE', 'no b'));
  const answered = { code, details, metadata } as ServiceError;
  expect(failureOf(targetWith(), answered)).toMatchObject({ message: 'no b' });
});
