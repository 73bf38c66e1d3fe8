export { publicKeyOf } from './certificate.js';
export { identityOf } from './identity.js';
export type { CertificateIdentity } from './identity.js';
export {
  CERTIFICATE_SKEW_MS,
  createRoot,
  crossSign,
  issueCertificate,
  ROOT_LIFE_MS,
  SERIAL_BYTES,
} from './issue.js';
export type {
  CertificateSubject,
  CreatedRoot,
  CrossSignRequest,
  IssueRequest,
  RootRequest,
} from './issue.js';
export { adminUri, isCertificateLabel, managerName, nodeUri } from './names.js';
export type { CertificateRole } from './names.js';
export { generateNodeKey, isKeyOf, proveKey, verifyKeyProof } from './node-key.js';
export type { NodeKey } from './node-key.js';
export { fromPem, toPem } from './pem.js';
export type { PemLabel } from './pem.js';
export { isCrossSigned, reachedRoots, rootPin } from './root.js';
export {
  encodeAdminTranscript,
  encodeRecoverTranscript,
  encodeRenewTranscript,
  encodeTranscript,
} from './transcripts.js';
export { isIssuedBy, verifyChain } from './verify-chain.js';
export type { ChainRequest } from './verify-chain.js';
