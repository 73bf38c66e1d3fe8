import type { AdminCredentials } from '@conclave/client';
import type { SecretBytes } from '@conclave/sealed';

/** Reads credentials for the time of `act`; the content and the private key are wiped behind it. */
export async function withCredentials<T>(
  content: SecretBytes,
  act: (credentials: AdminCredentials) => Promise<T> | T,
  ownKey?: SecretBytes,
): Promise<T> {
  const { decodeCredentials } = await import('@conclave/client');
  try {
    const credentials = decodeCredentials(content, ownKey);
    try {
      return await act(credentials);
    } finally {
      credentials.privateKey.wipe();
    }
  } finally {
    ownKey?.wipe();
    content.wipe();
  }
}
