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
  RECIPIENT_SEED_BYTES,
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
export { createRecoveryKit, isRecoverySplit, RecoveryEntry } from './recovery-key.js';
export type { RecoveryKit, RecoveryRecipient, Split } from './recovery-key.js';
export {
  encodeRecoveryText,
  parseRecoveryText,
  RECOVERY_TEXT_BYTES_MAX,
  recoveryId,
} from './recovery-text.js';
export type { RecoveryText, SharePlace } from './recovery-text.js';
export { spend, SecretBytes } from './secret-bytes.js';
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
export {
  createSigningKey,
  sign,
  SIGNING_PUBLIC_KEY_BYTES,
  signingPublicKey,
  verify,
} from './signing.js';
export type { SigningKey } from './signing.js';
export { combineShares, SHARE_COUNT_MAX, splitSecret } from './shamir.js';
export type { Share } from './shamir.js';
export { openSealed } from './sodium.js';
export { storageSeal, storageUnseal } from './storage.js';
export type { StoragePurpose, StorageSealRequest, StorageUnsealRequest } from './storage.js';
export {
  encodeToken,
  parseToken,
  signJoin,
  TOKEN_ID_BYTES,
  TOKEN_PIN_BYTES,
  TOKEN_TEXT_LENGTH,
  verifyJoin,
} from './token.js';
export type { ParsedToken, TokenRole } from './token.js';
