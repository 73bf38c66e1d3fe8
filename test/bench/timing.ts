import { isConclaveError } from '@conclave/kernel';
import { connectRemote, createAdminKey } from '@conclave/client';
import { createSigningKey, signJoin, SecretBytes, verifyJoin } from '@conclave/sealed';
import { SYSTEM_CLOCK, SYSTEM_RANDOM, SYSTEM_TIMERS } from '../../packages/daemon/src/platform.js';
import type { BenchCluster } from './cluster.js';
import { median, quantile } from './figures.js';
import type { Figure } from './figures.js';

// Attack rows A07 and J03: two kinds of calls that must take the same time.

/** Pairs of calls, and of random signs that show which differences chance makes. */
const PAIR_COUNT = 10_000;
const SHUFFLE_COUNT = 1_000;
/** Share of the differences by chance that one has to exceed to count. */
const CONFIDENCE = 0.999;
/** Calls before the first that counts. */
const WARM_UP_COUNT = 500;

type Act = () => Promise<void> | void;

async function timeOf(act: Act): Promise<number> {
  const from = performance.now();
  await act();
  return (performance.now() - from) * 1_000;
}

/** Microseconds that `second` took longer than `first`, pair by pair, in an order by chance. */
async function differences(first: Act, second: Act): Promise<number[]> {
  const found: number[] = [];
  for (let pair = -WARM_UP_COUNT; pair < PAIR_COUNT; pair += 1) {
    const isReversed = SYSTEM_RANDOM.below(2) === 1;
    const one = await timeOf(isReversed ? second : first);
    const other = await timeOf(isReversed ? first : second);
    if (pair >= 0) found.push(isReversed ? one - other : other - one);
  }
  return found;
}

/** How large the median may be when the two kinds are alike: their names are swapped by chance. */
function boundByChance(pairs: readonly number[]): number {
  const medians: number[] = [];
  for (let shuffle = 0; shuffle < SHUFFLE_COUNT; shuffle += 1) {
    const signs = SYSTEM_RANDOM.bytes(pairs.length);
    const shuffled = pairs.map((value, place) => ((signs[place] ?? 0) & 1 ? value : -value));
    medians.push(Math.abs(median(shuffled)));
  }
  return quantile(medians, CONFIDENCE);
}

async function figureOf(id: string, what: string, acts: readonly [Act, Act]): Promise<Figure> {
  const pairs = await differences(...acts);
  const [difference, bound] = [median(pairs), boundByChance(pairs)];
  const verdict = Math.abs(difference) <= bound ? 'no difference seen' : 'THEY DIFFER';
  const note =
    `${verdict}: ${difference.toFixed(2)} µs, by chance up to ${bound.toFixed(2)} µs ` +
    `(${PAIR_COUNT} pairs, medians, ${CONFIDENCE * 100} % of ${SHUFFLE_COUNT} random swaps)`;
  return { id, what, unit: 'µs', rounds: [difference], note };
}

/**
 * Checks requests of somebody who guesses a token, and is wrong in one byte of the seed. Each is
 * checked once: what that takes depends on the request, which is not secret.
 */
function guess(publicKey: Uint8Array, seed: SecretBytes, offset: number): Act {
  const wrong = seed.copy();
  wrong.use((view) => {
    view[offset] = (view[offset] ?? 0) ^ 1;
  });
  const requests = Array.from({ length: WARM_UP_COUNT + PAIR_COUNT }, () => {
    const message = SYSTEM_RANDOM.bytes(400);
    return { message, signature: signJoin(wrong, message) };
  });
  wrong.wipe();
  return () => {
    const request = requests.pop();
    if (request === undefined) throw new Error('every request was checked');
    if (verifyJoin(publicKey, request.message, request.signature)) {
      throw new Error('a wrong token was accepted');
    }
  };
}

/** Also when a try before it broke: so many calls are a flood, which may cost a connection. */
function isForbidden(error: unknown): boolean {
  if (!isConclaveError(error)) return false;
  return error.code === 'CV_ROLE_FORBIDDEN' || isForbidden(error.cause);
}

/** An administrator without the right asks for a secret that is there, and for one that is not. */
async function measureRefusals(cluster: BenchCluster): Promise<Figure> {
  const host = await cluster.leader();
  const local = await cluster.connect(host);
  const value = SecretBytes.random(SYSTEM_RANDOM, 16);
  const known = await local.secrets.set('timing/known', value);
  const key = createAdminKey('timing');
  const made = await local.admins.create({ name: 'timing', roles: ['viewer'], key: key.proven });
  const remote = connectRemote({
    credentials: {
      clusterId: made.clusterId,
      name: 'timing',
      roles: ['viewer'],
      addresses: [`${host.address}:7420`],
      certificateDer: made.certificate,
      rootsDer: made.rootCertificates,
      privateKey: key.privateKey,
    },
    clock: SYSTEM_CLOCK,
    timers: SYSTEM_TIMERS,
    random: SYSTEM_RANDOM,
  });
  const refusal = (secret: string): Act => {
    return async () => {
      try {
        await remote.secrets.rollback(secret, 1);
      } catch (error) {
        if (!isForbidden(error)) throw error;
        return;
      }
      throw new Error('a viewer may not roll back');
    };
  };
  // Of the same length: only whether it is there differs.
  const unknown = known.id.replace(/^./, (letter) => (letter === 'a' ? 'b' : 'a'));
  try {
    return await figureOf('A07', 'refusal: unknown secret against known one', [
      refusal(known.id),
      refusal(unknown),
    ]);
  } finally {
    await remote.close();
    await local.close();
  }
}

/** Whether what is refused can be told apart by the clock. Printed with a verdict; never fails. */
export async function measureTiming(cluster: BenchCluster): Promise<Figure[]> {
  const { publicKey, privateKey: seed } = createSigningKey(SYSTEM_RANDOM);
  const guesses = [guess(publicKey, seed, 0), guess(publicKey, seed, 31)] as const;
  const joins = await figureOf('J03', 'token: wrong last byte against wrong first byte', guesses);
  seed.wipe();
  return [joins, await measureRefusals(cluster)];
}
