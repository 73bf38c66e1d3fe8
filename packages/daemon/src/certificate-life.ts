import { CERTIFICATE_SKEW_MS, identityOf } from '@conclave/pki';

/** The part of its life behind which a certificate is renewed. */
export const RENEWAL_SHARE_MIN = 0.5;

/** When the life of a certificate began, and how much of it is over. */
export interface CertificateLife {
  /** Milliseconds since 1970. */
  readonly beginMs: number;
  readonly lengthMs: number;
  /** It is valid, and too early to renew it. */
  readonly isYoung: boolean;
}

/** The life of a certificate, by a clock that says `nowMs`. */
export function lifeOf(certificateDer: Uint8Array, nowMs: number): CertificateLife {
  const { notAfterMs, notBeforeMs } = identityOf(certificateDer);
  // The time by which it is valid earlier is for clocks that lag, and no part of its life.
  const beginMs = notBeforeMs + CERTIFICATE_SKEW_MS;
  const lengthMs = notAfterMs - beginMs;
  const isYoung = nowMs >= notBeforeMs && nowMs < beginMs + lengthMs * RENEWAL_SHARE_MIN;
  return { beginMs, lengthMs, isYoung };
}

/** False for a certificate that has ended, and for one that was made by a clock that was ahead. */
export function isUsable(certificateDer: Uint8Array, nowMs: number): boolean {
  const { notAfterMs, notBeforeMs } = identityOf(certificateDer);
  return nowMs >= notBeforeMs && nowMs <= notAfterMs;
}
