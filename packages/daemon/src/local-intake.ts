import { localContext } from '@conclave/client';
import type { SecretCall } from '@conclave/client';
import { ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import { createRecipientKeyPair, openFromRecipient } from '@conclave/sealed';
import type { RecipientKeyPair, SecretBytes } from '@conclave/sealed';

/** Opens the secrets that commands of this host send: each process of a daemon has a key of its own. */
export class LocalIntake {
  readonly #keyPair: RecipientKeyPair;

  constructor(random: Random) {
    this.#keyPair = createRecipientKeyPair(random);
  }

  /** What `status` tells. */
  get publicKey(): Uint8Array {
    return this.#keyPair.publicKey;
  }

  /**
   * Hands the secret of a call to `act`, and wipes it behind that.
   * @throws CV_ARGUMENT_INVALID when it was not sealed to this process for this call
   */
  async open<T>(
    call: SecretCall,
    sealed: Uint8Array,
    act: (secret: SecretBytes) => Promise<T>,
  ): Promise<T> {
    const secret = this.#unseal(call, sealed);
    try {
      return await act(secret);
    } finally {
      secret.wipe();
    }
  }

  /** Ends it: nothing is opened any more. */
  wipe(): void {
    this.#keyPair.privateKey.wipe();
  }

  #unseal(call: SecretCall, sealed: Uint8Array): SecretBytes {
    const context = localContext(call);
    try {
      return openFromRecipient({ keyPair: this.#keyPair, context, sealed, isPadded: true });
    } catch (cause) {
      throw new ConclaveError(
        'CV_ARGUMENT_INVALID',
        'the secret of the call is not sealed to this daemon',
        { hint: 'Repeat the command: the daemon may have been restarted meanwhile.', cause },
      );
    }
  }
}
