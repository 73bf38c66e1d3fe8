import { identityOf } from '@conclave/pki';
import type { CertificateIdentity } from '@conclave/pki';
import type { CallContext } from '@conclave/transport';

/** The call of whoever holds this identity, or of nobody in particular. */
export function callOf(
  identity?: CertificateIdentity,
  controller: AbortController = new AbortController(),
): CallContext {
  const address = '10.0.0.9';
  return {
    path: '/test',
    peer:
      identity === undefined
        ? { kind: 'anonymous', address }
        : { kind: 'certificate', identity, address },
    actor: { kind: identity?.kind ?? 'anonymous', id: identity?.id ?? '' },
    idempotencyKey: undefined,
    signal: controller.signal,
    metadata: () => undefined,
    setTrailer: () => undefined,
  };
}

/** The call of the holder of a certificate. */
export function callWith(certificateDer: Uint8Array): CallContext {
  return callOf(identityOf(certificateDer));
}
