import { beforeAll, describe, expect, test } from '@jest/globals';
import { hash, openSealed } from '@conclave/sealed';
import { checkChallenge } from '../src/join-cluster.js';

const CERTIFICATE = Uint8Array.of(1, 2, 3);
const NOW = Date.UTC(2030, 0, 1);
const DAY_MS = 24 * 3_600_000;

describe('the challenge of a manager', () => {
  beforeAll(openSealed);

  const challenge = (nowMs: number): Parameters<typeof checkChallenge>[0] => ({
    serverCertificateHash: Buffer.from(hash(CERTIFICATE)),
    nowMs,
  });

  test('clocks may differ by minutes, not by two days', () => {
    expect(() => checkChallenge(challenge(NOW + 60_000), CERTIFICATE, NOW)).not.toThrow();
    for (const skew of [2 * DAY_MS, -2 * DAY_MS]) {
      expect(() => checkChallenge(challenge(NOW + skew), CERTIFICATE, NOW)).toThrow(
        expect.objectContaining({ code: 'CV_CLOCK_SKEW' }),
      );
    }
  });

  test('the manager must name the certificate that it shows', () => {
    for (const presented of [undefined, Uint8Array.of(9)]) {
      expect(() => checkChallenge(challenge(NOW), presented, NOW)).toThrow(
        expect.objectContaining({ code: 'CV_CA_MISMATCH' }),
      );
    }
  });
});
