import { ConclaveError, isConclaveError } from '@conclave/kernel';
import type { CompromiseStatus, ConclaveClient, Recovery } from '@conclave/client';
import type { Call } from '../command-spec.js';
import { draftFile, kitText, readSplit } from '../recovery-kit.js';
import { readRecoveryKey, recoveryKeyIn } from '../recovery-proof.js';
import { ringText } from './ring.js';
import { rootText } from './root.js';

/** Tries of an eviction, each of which waits until the quorum has let go of the node. */
const EVICTION_TRIES_MAX = 3;

/** What the steps work with. */
interface Steps {
  readonly call: Call;
  readonly client: ConclaveClient;
  /** Says something on standard error, once. */
  readonly tell: (text: string) => Promise<void>;
}

type Step = (steps: Steps, compromise: CompromiseStatus) => Promise<void>;

const STEPS: Readonly<Record<string, Step>> = {
  evict,
  root: replaceRoot,
  ring: replaceRing,
  'recovery-key': replaceRecoveryKey,
};

/**
 * Carries a recovery to its last step, one after the other. What is left to do is read from the
 * cluster before each step, so that a run goes on where another one stopped.
 */
export async function carryOut(call: Call, client: ConclaveClient): Promise<void> {
  const steps = { call, client, tell: teller(call) };
  let tries = 0;
  for (;;) {
    const compromise = await compromiseOf(call, client);
    const [name] = compromise?.openSteps ?? [];
    if (compromise === null || name === undefined) return;
    const step = STEPS[name];
    if (step === undefined) throw new ConclaveError('CV_PROTOCOL', `the step ${name} is unknown`);
    tries = name === 'evict' ? tries + 1 : 0;
    if (tries > EVICTION_TRIES_MAX) {
      throw new ConclaveError('CV_DEADLINE', 'a node that is to go is still listed', {
        hint: 'Look at `conclave node ls`, then run this again.',
      });
    }
    await step(steps, compromise);
  }
}

/** The recovery that is on its way; null: none. */
export async function compromiseOf(
  call: Call,
  client: ConclaveClient,
): Promise<CompromiseStatus | null> {
  return (await client.cluster.status({ signal: call.tools.signal })).compromise;
}

function teller({ io }: Call): Steps['tell'] {
  let last = '';
  return async (text) => {
    if (text === last) return;
    last = text;
    await io.stderr.write(`${text}\n`);
  };
}

/** The entry that began the recovery has done it but for managers, which leave the quorum first. */
async function evict({ call, client, tell }: Steps, { evicted }: CompromiseStatus): Promise<void> {
  const { signal } = call.tools;
  for (const { hostname, id } of evicted) {
    try {
      await client.nodes.remove(id, { isForced: true, signal });
      await tell(`${hostname} is out`);
    } catch (error) {
      if (!isConclaveError(error) || error.code !== 'CV_NODE_NOT_FOUND') throw error;
    }
  }
}

async function replaceRoot(
  { call, client, tell }: Steps,
  { isRootAsked }: CompromiseStatus,
): Promise<void> {
  const { signal } = call.tools;
  let afterIndex = 0;
  if (!isRootAsked) {
    // One keeps out of the way of the other.
    const onProgress = progress(tell, 'key ring, from before', ringText);
    await client.cluster.waitForRing({ signal, onProgress });
    afterIndex = (await client.cluster.rotateRoot({ signal })).index;
  }
  const onProgress = progress(tell, 'root', rootText);
  const { generation } = await client.cluster.waitForRoot({ signal, onProgress, afterIndex });
  await tell(`root number ${generation} is in force; the one before is refused everywhere`);
}

async function replaceRing(
  { call, client, tell }: Steps,
  { isRingAsked }: CompromiseStatus,
): Promise<void> {
  const { signal } = call.tools;
  let afterIndex = 0;
  if (!isRingAsked) {
    const before = progress(tell, 'key ring, from before', ringText);
    await client.cluster.waitForRing({ signal, onProgress: before });
    const roots = progress(tell, 'root, from before', rootText);
    await client.cluster.waitForRoot({ signal, onProgress: roots });
    afterIndex = (await client.cluster.rotateRing({ signal })).index;
  }
  const onProgress = progress(tell, 'key ring', ringText);
  const { keyId } = await client.cluster.waitForRing({ signal, onProgress, afterIndex });
  await tell(`everything is under version ${keyId} of the key ring, and the old one is gone`);
}

function progress<Status>(
  tell: Steps['tell'],
  what: string,
  textOf: (status: Status) => string,
): (status: Status) => void {
  return (status) => void tell(`${what}: ${textOf(status)}`).catch(() => undefined);
}

async function replaceRecoveryKey(
  steps: Steps,
  { recoveryGeneration }: CompromiseStatus,
): Promise<void> {
  const { call, client, tell } = steps;
  const { signal } = call.tools;
  const { current } = await client.recovery.get({ signal });
  const isInForce = recoveryGeneration > 0 && (current?.generation ?? 0) >= recoveryGeneration;
  if (!isInForce) await proveNewKey(steps, recoveryGeneration);
  const onProgress = progress(tell, 'recovery key', (managers: readonly string[]) => {
    return `the old one still opens ${managers.join(', ')}`;
  });
  await client.recovery.waitForManagers({ signal, onProgress });
  await tell('the new recovery key is in force, and the old one opens no manager any more');
}

async function proveNewKey(steps: Steps, recoveryGeneration: number): Promise<void> {
  const { client, call } = steps;
  const { signal } = call.tools;
  const { staged } = await client.recovery.get({ signal });
  const isKept =
    staged !== null &&
    staged.generation >= recoveryGeneration &&
    recoveryGeneration > 0 &&
    (await confirmKept(steps));
  if (isKept) return;
  await makeKey(steps);
  await confirmWith(steps, async (recovery) => {
    const path = call.flags.text('recoveryKeyFile');
    return path === undefined ? typedKey(steps, recovery) : fileKey(path, recovery);
  });
}

/** An earlier run has shown a key: true when it is at hand and in force now. */
async function confirmKept(steps: Steps): Promise<boolean> {
  const { call } = steps;
  const path = call.flags.text('recoveryKeyFile');
  return confirmWith(steps, async ({ staged }) => {
    if (staged === null) return undefined;
    if (path !== undefined) return recoveryKeyIn(path, staged);
    await steps.tell(
      'A run before this one has shown a new recovery key: type it, or press return to make another.',
    );
    return readRecoveryKey(call, staged).catch((error: unknown) => {
      const isNothing = isConclaveError(error) && error.code === 'CV_RECOVERY_KEY_INVALID';
      if (isNothing) return undefined;
      throw error;
    });
  });
}

/**
 * Makes a key here, with a file for it that is written before the cluster hears of the public half;
 * the old key works as before.
 */
async function makeKey({ call, client }: Steps): Promise<void> {
  const { random, signal } = call.tools;
  const { createRecoveryKit, openSealed } = await import('@conclave/sealed');
  await openSealed();
  const kit = createRecoveryKit(random, readSplit(call.flags.text('recoveryShares')));
  const path = call.flags.text('recoveryKeyFile');
  try {
    const draft = path === undefined ? undefined : await draftFile(path, kit.texts);
    try {
      await client.recovery.stage(kit.recipient, { signal });
      await draft?.keep();
    } catch (error) {
      // Whether it was staged or not: nothing relies on a key before it is proven.
      await draft?.drop();
      throw error;
    }
    await call.io.stderr.write(`${kitText({ kit, path })}\n`);
  } finally {
    for (const text of kit.texts) text.wipe();
  }
}

/** Waits until every manager opens with the staged key, then proves it; false when it is not here. */
async function confirmWith(
  { call, client, tell }: Steps,
  keyOf: (recovery: Recovery) => Promise<SecretKey | undefined>,
): Promise<boolean> {
  const { signal } = call.tools;
  const key = await keyOf(await client.recovery.get({ signal }));
  if (key === undefined) return false;
  try {
    const onProgress = progress(tell, 'recovery key', (managers: readonly string[]) => {
      return `the new one does not open ${managers.join(', ')} yet`;
    });
    await client.recovery.waitForSeals({ signal, onProgress });
    await client.recovery.confirm(key, { signal });
    return true;
  } finally {
    key.wipe();
  }
}

type SecretKey = Awaited<ReturnType<typeof readRecoveryKey>>;

async function typedKey({ call, tell }: Steps, { staged }: Recovery): Promise<SecretKey> {
  if (staged === null) throw lost();
  await tell('Type it to prove that you kept it; after that the old one opens nothing.');
  return readRecoveryKey(call, staged);
}

/** Read back from the disk: what is proven is the file. */
async function fileKey(path: string, { staged }: Recovery): Promise<SecretKey> {
  const key = staged === null ? undefined : await recoveryKeyIn(path, staged);
  if (key !== undefined) return key;
  throw lost();
}

function lost(): ConclaveError {
  return new ConclaveError('CV_RECOVERY_PENDING', 'the new recovery key was replaced meanwhile', {
    hint: 'Run this again, by one person at a time.',
  });
}
