export { CONTROL_SERVICES, serveControl } from './control-services.js';
export type { ControlApi, ControlServiceName, ControlSource } from './control-services.js';
export { foundCluster } from './founding.js';
export type { FounderDescription, Founding } from './founding.js';
export type { KnownManager } from './identity/authority.js';
export { CERTIFICATE_OVERLAP_MS } from './identity/issuer.js';
export { isAddress } from './identity/join-fields.js';
export { encodeJoinTranscript } from './identity/join-transcript.js';
export type { JoinTranscript } from './identity/join-transcript.js';
export type { OwnCertificate } from './identity/own-certificate.js';
export type { OwnRole } from './identity/own-role.js';
export { encodePromotionTranscript } from './identity/promotion-transcript.js';
export type { PromotionTranscript } from './identity/promotion-transcript.js';
export type { FileVault } from './keys/file-vault.js';
export { EPOCH_FILE } from './keys/key-files.js';
export type { KeyOwner } from './keys/key-files.js';
export type { LocalKeyHolder } from './keys/local-key.js';
export {
  createFreshKeys,
  createLocalKey,
  ManagerKeys,
  wipeFreshKeys,
} from './keys/manager-keys.js';
export type { FreshKeys, NewKeys } from './keys/manager-keys.js';
export type { RootDemand } from './keys/root-demand.js';
export { recoveryMessage, recoveryOf } from './keys/recovery-message.js';
export { SLOT_KINDS } from './keys/slot-file.js';
export type { Slot, SlotKind } from './keys/slot-file.js';
export { KeySlots, recoveryDraft, recoveryRows } from './keys/slots.js';
export type { SlotDraft, SlotTools } from './keys/slots.js';
export { Manager } from './manager.js';
export type { CertificateDemand, ManagerOptions } from './manager.js';
export { StepLoop } from './step-loop.js';
