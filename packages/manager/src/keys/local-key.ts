import type { SecretBytes } from '@conclave/sealed';

/** The local key of this manager, and the one way to replace it. */
export interface LocalKeyHolder {
  /** @throws CV_STORE_FAILED after a replacement that failed half way */
  readonly localKey: SecretBytes;
  /**
   * Replaces it by a fresh one, with a new storage epoch: all key files are sealed under the fresh
   * one and kept beside, `commit` stores slots that open it, and from that moment on they are in
   * force. A crash at any point leaves one set that the slots open. When it fails before `commit`
   * nothing has changed, and it can be tried again.
   */
  renew(commit: (fresh: SecretBytes) => Promise<void>): Promise<void>;
}
