import { beforeEach, expect, test } from '@jest/globals';
import { Challenges } from '../../src/identity/challenges.js';
import { settle } from '../founded-cluster.js';
import { seededRandom } from '../scheduling/cluster.js';
import { SimulatedTime } from '../simulated-time.js';

let time: SimulatedTime;
let challenges: Challenges;

beforeEach(() => {
  time = new SimulatedTime();
  challenges = new Challenges(time, seededRandom());
});

test('a nonce comes back once', () => {
  const nonce = challenges.issue();
  expect(nonce).toHaveLength(32);
  expect(challenges.redeem(nonce)).toBe(true);
  expect(challenges.redeem(nonce)).toBe(false);
});

test('a nonce that was never given, or is cut off, does not count', () => {
  const nonce = challenges.issue();
  expect(challenges.redeem(new Uint8Array(32))).toBe(false);
  expect(challenges.redeem(new Uint8Array(0))).toBe(false);
  expect(challenges.redeem(nonce.subarray(1))).toBe(false);
  expect(challenges.redeem(nonce)).toBe(true);
});

test('a nonce lives for half a minute', async () => {
  const early = challenges.issue();
  const late = challenges.issue();
  await time.advance(30_000, settle);
  expect(challenges.redeem(early)).toBe(true);
  await time.advance(1, settle);
  expect(challenges.redeem(late)).toBe(false);
});

test('a flood of requests costs a bounded amount of memory: the oldest go first', () => {
  const first = challenges.issue();
  const second = challenges.issue();
  for (let count = 0; count < 9_999; count += 1) challenges.issue();
  expect(challenges.redeem(first)).toBe(false);
  expect(challenges.redeem(second)).toBe(true);
});
