import { beforeAll, describe, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import { createRoot, generateNodeKey, issueCertificate } from '@conclave/pki';
import { SimulatedTime } from '../../manager/test/simulated-time.js';
import { Renewal } from '../src/renewal.js';

const CLUSTER_ID = 'cluster';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const SPKI = generateNodeKey().spkiDer;

let root: Awaited<ReturnType<typeof createRoot>>;
let time: SimulatedTime;
let beganMs: number;
let renewedMs: number[];
let isRefused: boolean;
/** How far the clock of the host is from the time by which timers run. */
let clockShiftMs: number;
let underWay: Promise<void>;
let options: ConstructorParameters<typeof Renewal>[0];

beforeAll(async () => {
  const now = new SimulatedTime().now();
  root = await createRoot({ clusterId: CLUSTER_ID, now, random: random(0) });
});

/** Draws that are all the same part of what they may be. */
function random(part: number): Random {
  return {
    bytes: (count) => new Uint8Array(count).fill(7),
    below: (limit) => Math.floor(limit * part),
  };
}

function issue(lifeMs: number): Promise<Uint8Array> {
  return issueCertificate({
    rootDer: root.certificateDer,
    rootPrivateKey: Uint8Array.from(root.privateKeyPkcs8),
    clusterId: CLUSTER_ID,
    subject: { kind: 'node', role: 'worker', id: 'w1' },
    spkiDer: SPKI,
    serial: new Uint8Array(16).fill(1),
    notBefore: time.now(),
    notAfter: time.now() + lifeMs,
  });
}

interface Lives {
  readonly lifeMs: number;
  readonly nextMs?: number;
  /** Which part of the range of moments is drawn. */
  readonly part: number;
}

/** A renewal that has begun with a certificate of `lifeMs`; the next ones live `nextMs`. */
async function begun({ lifeMs, nextMs = lifeMs, part }: Lives): Promise<Renewal> {
  time = new SimulatedTime();
  beganMs = time.now();
  renewedMs = [];
  isRefused = false;
  clockShiftMs = 0;
  underWay = Promise.resolve();
  let certificate = await issue(lifeMs);
  const renew = async (): Promise<void> => {
    renewedMs.push(time.now() - beganMs);
    if (isRefused) throw new Error('nobody answers');
    certificate = await issue(nextMs);
  };
  options = {
    certificate: () => certificate,
    renew: () => {
      underWay = renew();
      return underWay;
    },
    clock: { now: () => time.now() + clockShiftMs, monotonic: () => time.monotonic() },
    timers: time,
    random: random(part),
    logger: SILENT_LOGGER,
  };
  const renewal = new Renewal(options);
  renewal.start();
  return renewal;
}

async function settle(): Promise<void> {
  await underWay.catch(() => undefined);
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

const advance = (byMs: number): Promise<void> => time.advance(byMs, settle);

test.each([
  [0, 12 * HOUR_MS],
  [0.8, 16.8 * HOUR_MS],
])('a certificate is renewed between half and three quarters of its life', async (part, atMs) => {
  await begun({ lifeMs: DAY_MS, part });
  await advance(atMs - 60_000);
  expect(renewedMs).toEqual([]);
  await advance(120_000);
  expect(renewedMs).toEqual([Math.round(atMs)]);
  await advance(atMs);
  expect(renewedMs).toHaveLength(2);
});

test('a renewal that fails is tried again, at most a minute later', async () => {
  await begun({ lifeMs: DAY_MS, part: 0 });
  isRefused = true;
  await advance(12 * HOUR_MS + 180_000);
  expect(renewedMs.map((atMs) => atMs - 12 * HOUR_MS)).toEqual([0, 60_000, 120_000, 180_000]);
});

describe('a life that was shortened', () => {
  test('renews a certificate that has most of it behind within a quarter of the new life', async () => {
    const renewal = await begun({ lifeMs: DAY_MS, nextMs: HOUR_MS, part: 0.8 });
    await advance(10 * HOUR_MS);
    renewal.grant(HOUR_MS);
    await advance(0.2 * HOUR_MS + 1);
    expect(renewedMs).toEqual([10.2 * HOUR_MS]);
    // From then on by the life of the new one.
    await advance(HOUR_MS);
    expect(renewedMs).toHaveLength(2);
  });

  test('lets a young certificate wait until half of the new life at least', async () => {
    const renewal = await begun({ lifeMs: DAY_MS, nextMs: 4 * HOUR_MS, part: 0 });
    await advance(HOUR_MS);
    renewal.grant(4 * HOUR_MS);
    await advance(HOUR_MS - 1);
    expect(renewedMs).toEqual([]);
    await advance(1);
    expect(renewedMs).toEqual([2 * HOUR_MS]);
  });

  test('moves no renewal that is due before', async () => {
    const renewal = await begun({ lifeMs: DAY_MS, part: 0.8 });
    await advance(16.5 * HOUR_MS);
    renewal.grant(20 * HOUR_MS);
    await advance(0.3 * HOUR_MS + 1);
    expect(renewedMs).toEqual([16.8 * HOUR_MS]);
  });

  test('is tried for again at the pace of the new life', async () => {
    const renewal = await begun({ lifeMs: DAY_MS, part: 0 });
    await advance(HOUR_MS);
    isRefused = true;
    renewal.grant(100_000);
    await advance(4_000);
    expect(renewedMs.map((atMs) => atMs - HOUR_MS)).toEqual([0, 2_000, 4_000]);
  });
});

test('a life that was lengthened moves nothing before the next certificate', async () => {
  const renewal = await begun({ lifeMs: DAY_MS, part: 0 });
  renewal.grant(7 * DAY_MS);
  await advance(12 * HOUR_MS);
  expect(renewedMs).toEqual([12 * HOUR_MS]);
});

describe('what is renewed at once', () => {
  test('is a certificate that has most of it behind when the daemon starts', async () => {
    // An earlier process may have got the next one and lost it: this one is not accepted for long.
    const renewal = await begun({ lifeMs: DAY_MS, part: 0.8 });
    await renewal.stop();
    await advance(13 * HOUR_MS);
    const later = new Renewal(options);
    later.start();
    // What the cluster says then changes nothing: no life is shorter.
    later.grant(DAY_MS);
    await advance(60_000);
    expect(renewedMs).toEqual([13 * HOUR_MS + 48_000]);
  });

  test('is one that begins in the future since the clock was set back', async () => {
    await begun({ lifeMs: DAY_MS, part: 0 });
    await advance(120_000);
    clockShiftMs = -2 * HOUR_MS;
    await advance(60_000);
    expect(renewedMs).toHaveLength(1);
  });
});
