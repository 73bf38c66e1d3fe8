export { deliveryFields, sessionContext } from './delivery.js';
export type { DeliveryPlace, SessionContext } from './delivery.js';
export {
  envelopeKeyId,
  envelopeOverhead,
  sealEnvelope,
  unsealBytes,
  unsealEnvelope,
} from './envelope.js';
export type { EnvelopePlace, ForgedReason, SealRequest, UnsealRequest } from './envelope.js';
export {
  algorithmOfPublicKey,
  createRecipientKeyPair,
  RECIPIENT_ALGORITHM,
  recipientPublicKey,
} from './encapsulation.js';
export type { RecipientAlgorithm, RecipientKeyPair } from './encapsulation.js';
export { encodeFields } from './fields.js';
export type { Field } from './fields.js';
export { FrameOpener, FrameSealer, REKEY_BYTES, REKEY_FRAME_COUNT } from './frames.js';
export type { FrameRequest, FrameValueRequest } from './frames.js';
export { hash, HASH_BYTES, hashFields, keyedHash, RunningHash } from './hash.js';
export { sealIntake } from './intake.js';
export type { IntakeSealRequest } from './intake.js';
export { KeyRing } from './key-ring.js';
export type { SealedValue, SubkeyContext, ValuePlace } from './key-ring.js';
export { paddedSizeOf } from './padding.js';
export { PURPOSE } from './purpose.js';
export type { Purpose } from './purpose.js';
export { openFromRecipient, sealToRecipient } from './recipient.js';
export type { RecipientOpenRequest, RecipientSealRequest } from './recipient.js';
export { SecretBytes } from './secret-bytes.js';
export {
  agentHello,
  agentOpen,
  managerAccept,
  SESSION_NONCE_BYTES,
  signTranscript,
  verifyTranscript,
} from './session.js';
export type {
  AcceptedSession,
  AgentHello,
  OpenedSession,
  SessionAccept,
  SessionBinding,
  SessionHello,
} from './session.js';
export { createSigningKey, sign, signingPublicKey, verify } from './signing.js';
export type { SigningKey } from './signing.js';
export { openSealed } from './sodium.js';
export { storageSeal, storageUnseal } from './storage.js';
export type { StoragePurpose, StorageSealRequest, StorageUnsealRequest } from './storage.js';
export {
  createToken,
  parseToken,
  signJoin,
  TOKEN_ID_BYTES,
  TOKEN_PIN_BYTES,
  TOKEN_TEXT_LENGTH,
  verifyJoin,
} from './token.js';
export type { CreatedToken, ParsedToken, TokenRequest, TokenRole } from './token.js';
