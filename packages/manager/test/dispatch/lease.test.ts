import { beforeEach, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import { Lease } from '../../src/dispatch/lease.js';
import { LEASE_MS } from '../../src/dispatch/limits.js';
import { settle } from '../founded-cluster.js';
import { SimulatedTime } from '../simulated-time.js';

let time: SimulatedTime;
let questions: { readonly answer: () => void; readonly fail: () => void }[];
let lease: Lease;

beforeEach(() => {
  time = new SimulatedTime();
  questions = [];
  lease = new Lease(
    time,
    () =>
      new Promise((resolve, reject) => {
        questions.push({
          answer: () => resolve(1),
          fail: () => reject(new ConclaveError('CV_NO_LEADER', 'none')),
        });
      }),
  );
});

const pass = (ms: number): Promise<void> => time.advance(ms, settle);

test('one answer serves all who ask at the same time, and the lease after it', async () => {
  const held = [lease.hold(), lease.hold()];
  await settle();
  expect(questions).toHaveLength(1);
  questions[0]?.answer();
  await Promise.all(held);
  await pass(LEASE_MS - 1);
  await lease.hold();
  expect(questions).toHaveLength(1);
  expect(lease.isHeld).toBe(true);
  await pass(1);
  expect(lease.isHeld).toBe(false);
});

test('counts from the question: an old answer confirms nothing', async () => {
  const holding = lease.hold();
  await pass(LEASE_MS);
  questions[0]?.answer();
  await settle();
  expect(lease.isHeld).toBe(false);
  // It asks once more before it gives up.
  expect(questions).toHaveLength(2);
  await pass(LEASE_MS);
  questions[1]?.answer();
  await expect(holding).rejects.toMatchObject({ code: 'CV_NO_LEADER' });
});

test('a failure is told to all who waited, and the next one asks anew', async () => {
  const outcomes = Promise.allSettled([lease.hold(), lease.hold()]);
  await settle();
  questions[0]?.fail();
  expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  const again = lease.hold();
  await settle();
  questions[1]?.answer();
  await again;
  expect(lease.isHeld).toBe(true);
});
