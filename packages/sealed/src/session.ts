import { ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

import {
  algorithmOfPublicKey,
  createRecipientKeyPair,
  decapsulate,
  encapsulate,
  RECIPIENT_ALGORITHM,
} from './encapsulation.js';
import type { RecipientAlgorithm } from './encapsulation.js';
import { forged } from './envelope.js';
import { encodeFields } from './fields.js';
import { FrameOpener, FrameSealer } from './frames.js';
import { deriveByHash, hashFields } from './hash.js';
import { spend } from './secret-bytes.js';
import type { SecretBytes } from './secret-bytes.js';
import { startStream, STREAM_HEADER_BYTES } from './secret-stream.js';
import { sign, verify } from './signing.js';

/** Bytes of the nonce of either side. */
export const SESSION_NONCE_BYTES = 32;

const KEY_LABEL = 'CV-AGENT-1';
const SIGNATURE_LABEL = 'CV-ACCEPT-1';

/** What the agent sends first. */
export interface SessionHello {
  /** Fresh X-Wing public key of this session. */
  readonly kemPublicKey: Uint8Array;
  readonly nonce: Uint8Array;
}

/** What the manager answers. */
export interface SessionAccept {
  readonly ciphertext: Uint8Array;
  readonly nonce: Uint8Array;
  /** Header of the stream of frames. */
  readonly header: Uint8Array;
}

/** What both sides know of the session from elsewhere; a difference makes every frame fail. */
export interface SessionBinding {
  readonly clusterId: string;
  readonly nodeId: string;
  /** Serial of the agent's certificate, lower-case hexadecimal. */
  readonly agentSerial: string;
  /** Serial of the manager's certificate, lower-case hexadecimal. */
  readonly managerSerial: string;
  /** The other fields of both messages (boot id, last index), encoded alike; default empty. */
  readonly context?: Uint8Array;
}

/** The agent's side between Hello and Accept. */
export interface AgentHello {
  readonly hello: SessionHello;
  /** Memory only; `agentOpen` wipes it. */
  readonly privateKey: SecretBytes;
}

/**
 * Starts a session with a key pair that lives for it alone.
 * @param algorithm the hybrid one unless told otherwise
 */
export function agentHello(random: Random, algorithm?: RecipientAlgorithm): AgentHello {
  const { publicKey, privateKey } = createRecipientKeyPair(random, algorithm);
  return {
    hello: { kemPublicKey: publicKey, nonce: random.bytes(SESSION_NONCE_BYTES) },
    privateKey,
  };
}

/** What {@link managerAccept} makes. */
export interface AcceptedSession {
  readonly accept: SessionAccept;
  readonly sealer: FrameSealer;
  /** Hash of everything agreed, for `signTranscript`. */
  readonly transcript: Uint8Array;
}

/**
 * Answers a Hello: agrees on a key with the agent and starts the stream of frames. A Hello under the
 * classical algorithm is answered only where that is allowed.
 * @throws CV_ARGUMENT_INVALID when the Hello is malformed, or classical without that
 */
export function managerAccept(request: {
  hello: SessionHello;
  binding: SessionBinding;
  random: Random;
  allowsClassical?: boolean | undefined;
}): AcceptedSession {
  const { hello, binding, random } = request;
  checkHello(hello, request.allowsClassical === true);
  const { ciphertext, shared } = encapsulate(hello.kemPublicKey, random);
  const nonce = random.bytes(SESSION_NONCE_BYTES);
  const accept = { ciphertext, nonce, header: random.bytes(STREAM_HEADER_BYTES) };
  const transcript = transcriptOf({ hello, accept, binding });
  const state = startState(shared, transcript, accept.header);
  return { accept, sealer: new FrameSealer(state), transcript };
}

/** What {@link agentOpen} makes. */
export interface OpenedSession {
  readonly opener: FrameOpener;
  /** Hash of everything agreed, for `verifyTranscript`. */
  readonly transcript: Uint8Array;
}

/**
 * Completes the session on the agent's side and wipes its private key. Another key or binding on
 * the manager's side shows with the first frame.
 * @throws CV_ENVELOPE_FORGED when the Accept is malformed
 */
export function agentOpen(request: {
  hello: SessionHello;
  privateKey: SecretBytes;
  accept: SessionAccept;
  binding: SessionBinding;
}): OpenedSession {
  const { hello, privateKey, accept, binding } = request;
  const keyPair = { publicKey: hello.kemPublicKey, privateKey };
  const isSized =
    accept.header.length === STREAM_HEADER_BYTES && accept.nonce.length === SESSION_NONCE_BYTES;
  const shared = spend(privateKey, () =>
    isSized ? decapsulate(keyPair, accept.ciphertext) : undefined,
  );
  if (shared === undefined) throw forged('malformed');
  const transcript = transcriptOf({ hello, accept, binding });
  const state = startState(shared, transcript, accept.header);
  return { opener: new FrameOpener(state), transcript };
}

/** The manager's Ed25519 signature over the transcript. */
export function signTranscript(privateKey: SecretBytes, transcript: Uint8Array): Uint8Array {
  return sign(privateKey, transcriptMessage(transcript));
}

/** True when the manager with this public key signed the transcript. */
export function verifyTranscript(
  publicKey: Uint8Array,
  transcript: Uint8Array,
  signature: Uint8Array,
): boolean {
  return verify(publicKey, transcriptMessage(transcript), signature);
}

function transcriptOf(session: {
  hello: SessionHello;
  accept: SessionAccept;
  binding: SessionBinding;
}): Uint8Array {
  const { hello, accept, binding } = session;
  const { clusterId, nodeId, agentSerial, managerSerial } = binding;
  return hashFields(
    KEY_LABEL,
    clusterId,
    nodeId,
    agentSerial,
    managerSerial,
    binding.context ?? new Uint8Array(0),
    hashFields(hello.kemPublicKey, hello.nonce),
    hashFields(accept.ciphertext, accept.nonce, accept.header),
  );
}

/** Only the hybrid algorithm, unless told otherwise: a peer cannot talk a session down. */
function checkHello({ kemPublicKey, nonce }: SessionHello, allowsClassical: boolean): void {
  const algorithm = algorithmOfPublicKey(kemPublicKey);
  if (algorithm === undefined || nonce.length !== SESSION_NONCE_BYTES) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'session hello is malformed');
  }
  if (algorithm === RECIPIENT_ALGORITHM.xwing || allowsClassical) return;
  throw new ConclaveError(
    'CV_ARGUMENT_INVALID',
    'this manager seals deliveries under the hybrid algorithm only',
    { hint: 'Set deliverySealing to the same on managers and workers.' },
  );
}

function startState(shared: SecretBytes, transcript: Uint8Array, header: Uint8Array): SecretBytes {
  return spend(shared, () =>
    spend(deriveByHash(shared, encodeFields([KEY_LABEL, transcript])), (key) =>
      startStream(key, header),
    ),
  );
}

function transcriptMessage(transcript: Uint8Array): Uint8Array {
  return encodeFields([SIGNATURE_LABEL, transcript]);
}
