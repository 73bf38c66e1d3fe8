import { ConclaveError, encodeBase32 } from '@conclave/kernel';
import type { KeySlots, LocalKeyHolder, Slot } from '@conclave/manager';
import { recoveryId } from '@conclave/sealed';
import type { KeySlotInput } from '@conclave/wire';
import type { Surroundings } from './member.js';
import { chooseProvider, createAutoSlot, providerOf } from './unlock/auto-unlock.js';

/** What the administrator of a host does with the key slots of its manager. */
export class SlotAdmin {
  readonly #slots: KeySlots;
  readonly #holder: LocalKeyHolder;
  readonly #around: Surroundings;
  /** One change at a time: each looks at what is there first. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(slots: KeySlots, holder: LocalKeyHolder, around: Surroundings) {
    this.#slots = slots;
    this.#holder = holder;
    this.#around = around;
  }

  list(): KeySlotInput[] {
    return this.#slots.list().map(slotMessage);
  }

  /**
   * Adds a slot that opens without a person.
   * @param how `host` or `command:PATH`
   * @throws CV_ARGUMENT_INVALID, CV_SLOT_IN_USE when there is such a slot already
   * @throws CV_UNLOCK_FAILED when it does not give back what it was given
   */
  add(how: string): Promise<KeySlotInput> {
    return this.#inTurn(async () => {
      const provider = await chooseProvider(how, this.#around);
      if (this.#slots.list().some((slot) => isMadeBy(slot, how))) {
        throw new ConclaveError('CV_SLOT_IN_USE', `there is a slot for ${how} already`);
      }
      const { draft } = await createAutoSlot(provider, this.#around.random);
      const slot = await this.#slots.add(this.#holder, draft);
      this.#around.logger.info('keys.slot-added', { slotId: slot.id, kind: slot.kind });
      return slotMessage(slot);
    });
  }

  /** Removes a slot, then what its opener kept. @throws CV_SLOT_NOT_FOUND, CV_SLOT_IN_USE */
  remove(id: string): Promise<KeySlotInput> {
    return this.#inTurn(async () => {
      const slot = await this.#slots.remove(this.#holder, id);
      await providerOf(slot, this.#around).forget();
      this.#around.logger.info('keys.slot-removed', { slotId: slot.id, kind: slot.kind });
      return slotMessage(slot);
    });
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const next = this.#last.then(act, act);
    this.#last = next.catch(() => undefined);
    return next;
  }
}

function isMadeBy({ kind, detail }: Slot, how: string): boolean {
  return kind === 'command' ? how === `command:${detail}` : kind === how;
}

function slotMessage({ id, kind, detail, createdAtMs, publicKey }: Slot): KeySlotInput {
  const own = kind === 'recovery' ? encodeBase32(recoveryId(publicKey)) : '';
  return { id, kind, detail, createdAtMs, recoveryId: own };
}
