import { beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isConclaveError } from '@conclave/kernel';
import { DAMAGE_KINDS, damaged, decodeHostile, FUZZ_RUNS } from '@conclave/testing';
import {
  agentHello,
  agentOpen,
  createRecipientKeyPair,
  createRecoveryKit,
  KeyRing,
  managerAccept,
  openFromRecipient,
  openSealed,
  parseRecoveryText,
  parseToken,
  PURPOSE,
  RECIPIENT_ALGORITHM,
  sealIntake,
  sealToRecipient,
  SecretBytes,
  storageSeal,
  storageUnseal,
} from '../src/index.js';
import { DeterministicRandom } from './deterministic-random.js';
import { ascii, bytesOf, CLUSTER, createToken, NODE, secretFrom, secretOf } from './support.js';

const random = new DeterministicRandom('fuzz');
const context = ascii('context');

const damages = fc.array(
  fc.record({
    kind: fc.constantFrom(...DAMAGE_KINDS),
    at: fc.nat(),
    value: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
);

const isRefusal = (error: unknown): boolean =>
  isConclaveError(error) &&
  [
    'CV_ENVELOPE_FORGED',
    'CV_TOKEN_INVALID',
    'CV_ARGUMENT_INVALID',
    'CV_RECOVERY_KEY_INVALID',
  ].includes(error.code);

/** Something that reads bytes from outside, and bytes that it reads. */
interface Reader {
  readonly valid: Uint8Array;
  readonly read: (bytes: Uint8Array) => unknown;
}

function recipient(algorithm: 1 | 2): Reader {
  const keyPair = createRecipientKeyPair(random, algorithm);
  const { publicKey } = keyPair;
  return {
    valid: sealToRecipient({ publicKey, context, plaintext: secretOf('ring'), random }),
    read: (sealed) => openFromRecipient({ keyPair, context, sealed }),
  };
}

function storage(): Reader {
  const place = {
    purpose: PURPOSE.hardState,
    key: SecretBytes.random(random, 32),
    keyId: 1,
    fields: [CLUSTER, NODE, 1, 1],
  };
  return {
    valid: storageSeal({ ...place, plaintext: ascii('entry'), random }),
    read: (envelope) => storageUnseal({ ...place, envelope }),
  };
}

const binding = {
  clusterId: CLUSTER,
  nodeId: NODE,
  agentSerial: '0a',
  managerSerial: '0b',
  context: ascii('boot'),
};

function helloReader(): Reader {
  const { hello } = agentHello(random);
  return {
    valid: hello.kemPublicKey,
    read: (kemPublicKey) =>
      managerAccept({ hello: { ...hello, kemPublicKey }, binding, random }).accept,
  };
}

function acceptReader(): Reader {
  const first = agentHello(random);
  const { accept } = managerAccept({ hello: first.hello, binding, random });
  return {
    valid: accept.ciphertext,
    // The private key lives for one session, so each reading has its own.
    read: (ciphertext) => {
      const { hello, privateKey } = agentHello(random);
      return agentOpen({ hello, privateKey, accept: { ...accept, ciphertext }, binding });
    },
  };
}

function frames(): Reader {
  const open = (): { sealed: Uint8Array; read: (frame: Uint8Array) => unknown } => {
    const { hello, privateKey } = agentHello(random);
    const { accept, sealer } = managerAccept({ hello, binding, random });
    const { opener } = agentOpen({ hello, privateKey, accept, binding });
    const sealed = sealer.seal({ aad: [1], plaintext: ascii('value') });
    return { sealed, read: (frame) => opener.open({ aad: [1], frame }) };
  };
  const session = open();
  return { valid: session.sealed, read: (frame) => open().read(frame) };
}

/** White space and capital letters mean nothing: what reads as the same key was not changed. */
function recoveryText(text: SecretBytes | undefined): Reader {
  if (text === undefined) throw new Error('no text');
  const valid = bytesOf(text);
  const { secret: kept, ...known } = parseRecoveryText(valid);
  return {
    valid,
    read: (typed) => {
      const { secret, ...said } = parseRecoveryText(typed);
      const isSame = secret.equals(kept) && JSON.stringify(said) === JSON.stringify(known);
      return isSame ? undefined : said;
    },
  };
}

const READERS: Readonly<Record<string, () => Reader>> = {
  'a join token': () => ({
    valid: createToken({
      role: 'worker',
      pin: random.bytes(32),
      id: random.bytes(8),
      random,
    }).text,
    read: parseToken,
  }),
  'a recovery key': () => recoveryText(createRecoveryKit(random).texts[0]),
  'a share of a recovery key': () =>
    recoveryText(createRecoveryKit(random, { threshold: 2, count: 3 }).texts[1]),
  'a ring': () => ({
    valid: bytesOf(KeyRing.create(random).rotate(random).encode()),
    read: (bytes) => KeyRing.decode(secretFrom(bytes)),
  }),
  'an intake': () => {
    const ring = KeyRing.create(random);
    const place = { clusterId: CLUSTER, context };
    const publicKey = ring.intakePublicKey();
    return {
      valid: sealIntake({ ...place, publicKey, value: secretOf('pw'), random }),
      read: (sealed) => ring.openIntake({ ...place, sealed }),
    };
  },
  'what was sealed with X-Wing': () => recipient(RECIPIENT_ALGORITHM.xwing),
  'what was sealed classically': () => recipient(RECIPIENT_ALGORITHM.x25519),
  'a stored record': storage,
  'the key of a hello': helloReader,
  'an accept': acceptReader,
  'a frame': frames,
};

/** Damage that leaves these as good as they were: another key, another ring. */
const MAY_CHANGE = new Set(['a ring', 'the key of a hello', 'an accept']);

beforeAll(openSealed);

test.each(Object.keys(READERS))('%s, damaged or invented, is refused', (name) => {
  const reader = READERS[name]?.();
  if (reader === undefined) throw new Error(name);
  const { valid, read } = reader;
  fc.assert(
    fc.property(damages, fc.uint8Array({ maxLength: 300 }), (how, invented) => {
      const bytes = damaged(valid, how);
      const value = decodeHostile(() => read(bytes), isRefusal);
      const isSame = Buffer.from(bytes).equals(valid);
      if (!isSame && !MAY_CHANGE.has(name)) expect(value).toBeUndefined();
      decodeHostile(() => read(invented), isRefusal);
    }),
    { numRuns: FUZZ_RUNS },
  );
});
