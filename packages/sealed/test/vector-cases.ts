import {
  agentHello,
  agentOpen,
  createRecipientKeyPair,
  createRecoveryKit,
  createSigningKey,
  deliveryFields,
  encodeFields,
  hash,
  hashFields,
  keyedHash,
  KeyRing,
  managerAccept,
  openFromRecipient,
  parseToken,
  PURPOSE,
  RECIPIENT_ALGORITHM,
  SecretBytes,
  sealEnvelope,
  sealIntake,
  sealToRecipient,
  sessionContext,
  signJoin,
  signTranscript,
  unsealEnvelope,
} from '../src/index.js';
import type { Field, Purpose, RecipientAlgorithm, RecoveryKit } from '../src/index.js';
import type { DeterministicRandom } from './deterministic-random.js';
import {
  ascii,
  bytesOf,
  CLUSTER,
  createToken,
  NODE,
  SECRET,
  secretFrom,
  secretOf,
} from './support.js';

/** The content of every sealed vector. */
export const CONTENT = 'correct horse battery staple';

/** One byte layout that must never change. */
export interface VectorCase {
  readonly name: string;
  /** Makes the bytes out of the case's own randomness, always alike. */
  readonly make: (random: DeterministicRandom) => Uint8Array;
  /**
   * Opens bytes that an earlier version made with the same randomness; the content, or undefined
   * where there is nothing to open.
   */
  readonly open?: (frozen: Uint8Array, random: DeterministicRandom) => Uint8Array;
}

const HASH = new Uint8Array(32).fill(7);
const VALUE_PLACE = { clusterId: CLUSTER, secretId: SECRET, version: 3 };
const CA_PLACE = { clusterId: CLUSTER, serial: '0a0b' };
const INTAKE_PLACE = { clusterId: CLUSTER, context: ascii('app/db') };
const BINDING = {
  clusterId: CLUSTER,
  nodeId: NODE,
  agentSerial: '0a',
  managerSerial: '0b',
  context: sessionContext({
    protocol: 1,
    bootId: 'boot',
    clusterEpoch: 2,
    appliedIndex: 30,
    sessionId: 'session',
  }),
};

const PLACES: readonly (readonly [string, Purpose, readonly Field[]])[] = [
  ['storage entry', PURPOSE.storageEntry, [CLUSTER, NODE, 1, 2, 3, 'EntryNormal', HASH]],
  ['snapshot chunk', PURPOSE.snapshotChunk, [CLUSTER, NODE, 1, 2, 3, 4, HASH]],
  ['hard state', PURPOSE.hardState, [CLUSTER, NODE, 1, 2]],
  ['backup chunk', PURPOSE.backupChunk, [HASH, 5]],
  ['local key file', PURPOSE.localKeyFile, [CLUSTER, NODE]],
  ['ring file', PURPOSE.ringFile, [CLUSTER, NODE, 1]],
  ['storage epochs', PURPOSE.epochFile, [CLUSTER, NODE]],
];

export const VECTOR_CASES: readonly VectorCase[] = [
  ...PLACES.map(([name, purpose, fields]) => envelopeCase(name, purpose, fields)),
  recipientCase('recipient of X-Wing', RECIPIENT_ALGORITHM.xwing),
  recipientCase('recipient of X25519', RECIPIENT_ALGORITHM.x25519),
  {
    name: 'key ring',
    make: (random) => bytesOf(KeyRing.create(random).rotate(random).encode()),
    open: (frozen) => bytesOf(KeyRing.decode(secretFrom(frozen)).encode()).subarray(0, 0),
  },
  {
    name: 'value',
    make: (random) => {
      const ring = KeyRing.create(random);
      const sealed = ring.sealValue({ ...VALUE_PLACE, value: secretOf(CONTENT), random });
      return encodeFields([sealed.keyId, sealed.size, sealed.wrappedDek, sealed.envelope]);
    },
    open: (frozen, random) => {
      const [keyId = 0, size = 0] = [frozen[11], frozen[23]];
      const wrappedDek = frozen.subarray(28, 28 + 86);
      const sealed = { keyId, size, wrappedDek, envelope: frozen.subarray(28 + 86 + 4) };
      return bytesOf(KeyRing.create(random).openValue({ ...VALUE_PLACE, sealed }));
    },
  },
  {
    name: 'key of the CA',
    make: (random) =>
      KeyRing.create(random).sealCaKey({ ...CA_PLACE, key: secretOf(CONTENT), random }),
    open: (envelope, random) =>
      bytesOf(KeyRing.create(random).openCaKey({ ...CA_PLACE, envelope })),
  },
  {
    name: 'intake',
    make: (random) => {
      const publicKey = KeyRing.create(random).intakePublicKey();
      return sealIntake({ ...INTAKE_PLACE, publicKey, value: secretOf(CONTENT), random });
    },
    open: (sealed, random) =>
      bytesOf(KeyRing.create(random).openIntake({ ...INTAKE_PLACE, sealed })),
  },
  {
    name: 'digest of a value',
    make: (random) =>
      KeyRing.create(random).digestValue({ secretId: SECRET, value: secretOf(CONTENT) }),
  },
  { name: 'session', make: sessionBytes },
  {
    name: 'token',
    make: (random) => {
      const [pin, id] = [random.bytes(32), random.bytes(8)];
      const token = createToken({ role: 'manager', pin, id, random });
      const signature = signJoin(parseToken(token.text).seed, ascii(CONTENT));
      return encodeFields([token.text, token.publicKey, signature]);
    },
  },
  {
    name: 'recovery key',
    make: (random) => kitBytes(createRecoveryKit(random)),
  },
  {
    name: 'shares of a recovery key',
    make: (random) => kitBytes(createRecoveryKit(random, { threshold: 2, count: 3 })),
  },
  {
    name: 'hashes',
    make: (random) =>
      encodeFields([
        hashFields(CONTENT, 2 ** 40, HASH),
        keyedHash(SecretBytes.random(random, 32), ascii(CONTENT)),
      ]),
  },
];

function envelopeCase(name: string, purpose: Purpose, fields: readonly Field[]): VectorCase {
  return {
    name,
    make: (random) => {
      const key = SecretBytes.random(random, 32);
      return sealEnvelope({
        purpose,
        key,
        keyId: 9,
        fields,
        plaintext: secretOf(CONTENT),
        random,
      });
    },
    open: (envelope, random) => {
      const key = SecretBytes.random(random, 32);
      return bytesOf(unsealEnvelope({ purpose, key, keyId: 9, fields, envelope }));
    },
  };
}

function recipientCase(name: string, algorithm: RecipientAlgorithm): VectorCase {
  const context = ascii('context');
  return {
    name,
    make: (random) => {
      const { publicKey } = createRecipientKeyPair(random, algorithm);
      return sealToRecipient({ publicKey, context, plaintext: secretOf(CONTENT), random });
    },
    open: (sealed, random) => {
      const keyPair = createRecipientKeyPair(random, algorithm);
      return bytesOf(openFromRecipient({ keyPair, context, sealed }));
    },
  };
}

/** Public half, hashes of shares, and what people keep. */
function kitBytes({ recipient, texts }: RecoveryKit): Uint8Array {
  const { publicKey, shareHashes } = recipient;
  return encodeFields([hash(publicKey), ...shareHashes, ...texts.map(bytesOf)]);
}

/** Both hellos, the transcript, its signature, three frames and the last one. */
function sessionBytes(random: DeterministicRandom): Uint8Array {
  const signing = createSigningKey(random);
  const { hello, privateKey } = agentHello(random);
  const { accept, sealer, transcript } = managerAccept({ hello, binding: BINDING, random });
  const { opener } = agentOpen({ hello, privateKey, accept, binding: BINDING });
  const aad = deliveryFields({
    index: 30,
    clusterEpoch: 2,
    secretId: SECRET,
    version: 3,
    taskIds: ['task b', 'task a'],
  });
  const frames = ['', 'x', CONTENT].map((text) => {
    const frame = sealer.seal({ aad, plaintext: ascii(text) });
    opener.open({ aad, frame }).wipe();
    return frame;
  });
  return encodeFields([
    hello.kemPublicKey,
    hello.nonce,
    accept.ciphertext,
    accept.nonce,
    accept.header,
    transcript,
    signTranscript(signing.privateKey, transcript),
    ...frames,
    sealer.close(),
  ]);
}
