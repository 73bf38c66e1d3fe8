import { ConclaveError } from '@conclave/kernel';

import { ALGORITHM_PLAIN, encodeAssociatedData } from './associated-data.js';
import { forged } from './envelope.js';
import { encodeFields } from './fields.js';
import type { Field } from './fields.js';
import type { KeyRing, SealedValue, ValuePlace } from './key-ring.js';
import { PURPOSE } from './purpose.js';
import { spend } from './secret-bytes.js';
import type { SecretBytes } from './secret-bytes.js';
import { pullMessage, pushMessage, STREAM_TAG } from './secret-stream.js';
import type { StreamTag } from './secret-stream.js';
import { sizeOf } from './sodium.js';

/** The key of a stream changes after this many frames. */
export const REKEY_FRAME_COUNT = 1000;
/** The key of a stream changes after this many bytes of plaintext. */
export const REKEY_BYTES: number = 1024 * 1024;

/** A frame to be sealed. */
export interface FrameRequest {
  /**
   * What the frame is about: commit index, term, epoch, secret id, version, hash of the task ids,
   * part. Both ends build it on their own; it does not travel in the frame.
   */
  readonly aad: readonly Field[];
  readonly plaintext: SecretBytes | Uint8Array;
}

/** A stored value to be resealed into frames. */
export interface FrameValueRequest extends ValuePlace {
  readonly ring: KeyRing;
  readonly sealed: SealedValue;
  readonly aad: readonly Field[];
}

/** The manager's end of an agent session. Frames must be sent in the order of their sealing. */
export class FrameSealer {
  readonly #state: SecretBytes;
  #sequence = 0;
  #framesUnderKey = 0;
  #bytesUnderKey = 0;
  #isClosed = false;

  /** Takes the state over and wipes it at the end. */
  constructor(state: SecretBytes) {
    this.#state = state;
  }

  /** True after `close` or `wipe`. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * The next frame. Does not wipe the plaintext.
   * @throws CV_SESSION_INVALID after `close`
   */
  seal({ aad, plaintext }: FrameRequest): Uint8Array {
    this.#framesUnderKey += 1;
    this.#bytesUnderKey += sizeOf(plaintext);
    const isWorn = this.#framesUnderKey >= REKEY_FRAME_COUNT || this.#bytesUnderKey >= REKEY_BYTES;
    if (isWorn) {
      this.#framesUnderKey = 0;
      this.#bytesUnderKey = 0;
    }
    return this.#push({ aad, plaintext }, isWorn ? STREAM_TAG.rekey : STREAM_TAG.message);
  }

  /**
   * The next frame with a stored value, which is open inside this call only.
   * @throws CV_ENVELOPE_FORGED when the value does not open at its place
   * @throws CV_SESSION_INVALID after `close`
   */
  sealValue(request: FrameValueRequest): Uint8Array {
    const { ring, aad } = request;
    return spend(ring.openValue(request), (plaintext) => this.seal({ aad, plaintext }));
  }

  /**
   * A stored value in frames of at most `partBytes` (1..); `part, part count` is added to the
   * associated data of each, counted from 0. An empty value is one empty part.
   * @throws CV_ENVELOPE_FORGED when the value does not open at its place
   * @throws CV_SESSION_INVALID after `close`
   */
  sealValueParts(request: FrameValueRequest & { partBytes: number }): Uint8Array[] {
    const { ring, aad, partBytes } = request;
    return spend(ring.openValue(request), (value) =>
      value.use((view) => {
        const count = Math.max(1, Math.ceil(view.length / partBytes));
        return Array.from({ length: count }, (_, part) => {
          const plaintext = view.subarray(part * partBytes, (part + 1) * partBytes);
          return this.seal({ aad: [...aad, part, count], plaintext });
        });
      }),
    );
  }

  /**
   * The last frame, without content: tells the agent that nothing was cut off. Wipes the key.
   * @throws CV_SESSION_INVALID when called again
   */
  close(): Uint8Array {
    const frame = this.#push({ aad: [], plaintext: new Uint8Array(0) }, STREAM_TAG.final);
    this.wipe();
    return frame;
  }

  /** Ends the session without a last frame and wipes the key; may be called again. */
  wipe(): void {
    this.#isClosed = true;
    this.#state.wipe();
  }

  #push({ aad, plaintext }: FrameRequest, tag: StreamTag): Uint8Array {
    if (this.#isClosed) throw sessionEnded();
    const bound = frameData(this.#sequence, aad);
    this.#sequence += 1;
    return pushMessage(this.#state, { plaintext, aad: bound, tag });
  }
}

/** The agent's end of a session. */
export class FrameOpener {
  readonly #state: SecretBytes;
  #sequence = 0;
  #isClosed = false;

  /** Takes the state over and wipes it at the end. */
  constructor(state: SecretBytes) {
    this.#state = state;
  }

  /** True after `close` or `wipe`. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * The content of the next frame; the caller wipes it. After an error the session is of no use.
   * @throws CV_ENVELOPE_FORGED when it is not exactly the next frame, or `aad` differs
   * @throws CV_SESSION_INVALID after `close`
   */
  open({ aad, frame }: { aad: readonly Field[]; frame: Uint8Array }): SecretBytes {
    const { plaintext, tag } = this.#pull(aad, frame);
    if (tag === STREAM_TAG.message || tag === STREAM_TAG.rekey) return plaintext;
    plaintext.wipe();
    throw forged('malformed');
  }

  /**
   * Checks that `frame` is the last one of the session and wipes the key.
   * @throws CV_ENVELOPE_FORGED when it is not
   * @throws CV_SESSION_INVALID when called again
   */
  close(frame: Uint8Array): void {
    const { tag } = this.#pull([], frame);
    this.wipe();
    if (tag !== STREAM_TAG.final) throw forged('malformed');
  }

  /** Ends the session and wipes the key; may be called again. */
  wipe(): void {
    this.#isClosed = true;
    this.#state.wipe();
  }

  #pull(aad: readonly Field[], frame: Uint8Array): { plaintext: SecretBytes; tag: number } {
    if (this.#isClosed) throw sessionEnded();
    const opened = pullMessage(this.#state, frameData(this.#sequence, aad), frame);
    if (opened === undefined) throw forged('forged');
    this.#sequence += 1;
    return opened;
  }
}

function frameData(sequence: number, aad: readonly Field[]): Uint8Array {
  return encodeAssociatedData({
    purpose: PURPOSE.agentFrame,
    algorithm: ALGORITHM_PLAIN,
    keyId: 0,
    fields: [sequence, encodeFields(aad)],
  });
}

function sessionEnded(): ConclaveError {
  return new ConclaveError('CV_SESSION_INVALID', 'the session has ended');
}
