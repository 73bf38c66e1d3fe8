import { ConclaveError, limits } from '@conclave/kernel';
import { deliveryFields, SecretBytes } from '@conclave/sealed';
import type { DeliveryPlace, FrameOpener } from '@conclave/sealed';
import type { SecretPart } from '@conclave/wire';

const PARTS_MAX = Math.ceil(limits.SECRET_VALUE_BYTES_MAX / limits.DELIVERY_PART_BYTES_MAX);

/** Puts one value together from its parts, which come one after the other. */
export class ValueParts {
  readonly #opener: FrameOpener;
  #open:
    { readonly place: DeliveryPlace; readonly pieces: SecretBytes[]; parts: number } | undefined;

  constructor(opener: FrameOpener) {
    this.#opener = opener;
  }

  /** True while parts of a value are missing. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /**
   * Opens the next part. The value when it was the last one, to be wiped by its owner.
   * @throws CV_PROTOCOL for parts out of order, CV_LIMIT_EXCEEDED for too large a value,
   * CV_ENVELOPE_FORGED when the frame is not the next one of the session or about another place
   */
  add(part: SecretPart, place: DeliveryPlace): SecretBytes | undefined {
    if (part.parts < 1 || part.parts > PARTS_MAX) {
      throw new ConclaveError('CV_LIMIT_EXCEEDED', 'a value has too many parts');
    }
    this.#open ??= { place, pieces: [], parts: part.parts };
    const { pieces, parts, place: first } = this.#open;
    const isSame = first.secretId === place.secretId && first.version === place.version;
    if (!isSame || part.parts !== parts || part.part !== pieces.length) {
      throw new ConclaveError('CV_PROTOCOL', 'parts of a value are out of order');
    }
    const aad = [...deliveryFields(place), part.part, part.parts];
    const piece = this.#opener.open({ aad, frame: part.frame });
    pieces.push(piece);
    if (piece.size > limits.DELIVERY_PART_BYTES_MAX) {
      throw new ConclaveError('CV_LIMIT_EXCEEDED', 'a part of a value is too large');
    }
    return pieces.length === parts ? this.#finish() : undefined;
  }

  /** Wipes what was not finished. */
  wipe(): void {
    for (const piece of this.#open?.pieces ?? []) piece.wipe();
    this.#open = undefined;
  }

  #finish(): SecretBytes {
    const pieces = this.#open?.pieces ?? [];
    let size = 0;
    for (const piece of pieces) size += piece.size;
    if (size > limits.SECRET_VALUE_BYTES_MAX) {
      throw new ConclaveError('CV_LIMIT_EXCEEDED', 'a value is too large');
    }
    const value = SecretBytes.allocate(size);
    let offset = 0;
    for (const piece of pieces) {
      piece.use((from) => value.use((to) => to.set(from, offset)));
      offset += piece.size;
    }
    this.wipe();
    return value;
  }
}
