import { ConclaveError, createId, equalBytes, limits } from '@conclave/kernel';
import type { Clock, Random } from '@conclave/kernel';
import {
  encodeFields,
  openFromRecipient,
  recipientPublicKey,
  sealToRecipient,
} from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import type { RecoveryRow } from '@conclave/state';
import type { FileVault } from './file-vault.js';
import type { KeyOwner } from './key-files.js';
import type { LocalKeyHolder } from './local-key.js';
import { decodeRecovery, encodeRecovery } from './recovery-data.js';
import { decodeSlots, encodeSlots } from './slot-file.js';
import type { Slot } from './slot-file.js';

const FILE = 'keys/slots';

/** What a new slot is made of; the private half of its key stays with whoever opens it. */
export type SlotDraft = Pick<Slot, 'kind' | 'detail' | 'publicKey' | 'data'>;

/** A slot before the local key is sealed to it. */
type SlotPlace = Omit<Slot, 'sealed'>;

/** What making slots takes. */
export interface SlotTools {
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * The slots of one manager: ways to its local key, any of which opens it. They are one file that is
 * replaced as a whole, so that a crash leaves the slots before or after a change, and never none.
 */
export class KeySlots {
  readonly #vault: FileVault;
  readonly #owner: KeyOwner;
  readonly #tools: SlotTools;
  #slots: readonly Slot[];
  /** Changes happen one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(parts: {
    vault: FileVault;
    owner: KeyOwner;
    tools: SlotTools;
    slots: readonly Slot[];
  }) {
    this.#vault = parts.vault;
    this.#owner = parts.owner;
    this.#tools = parts.tools;
    this.#slots = parts.slots;
  }

  /** Stores the first slots of a new manager. */
  static async create(
    vault: FileVault,
    owner: KeyOwner,
    first: { localKey: SecretBytes; drafts: readonly SlotDraft[]; tools: SlotTools },
  ): Promise<KeySlots> {
    const slots = new KeySlots({ vault, owner, tools: first.tools, slots: [] });
    const places = first.drafts.map((draft) => slots.#fresh(draft));
    await slots.#store(places.map((place) => slots.#seal(first.localKey, place)));
    return slots;
  }

  /** @throws CV_LOG_DAMAGED when the file is missing or not what was written */
  static async open(vault: FileVault, owner: KeyOwner, tools: SlotTools): Promise<KeySlots> {
    const file = await vault.read(FILE);
    if (file === undefined) {
      throw new ConclaveError('CV_LOG_DAMAGED', `the key file ${FILE} is missing`);
    }
    return new KeySlots({ vault, owner, tools, slots: decodeSlots(file) });
  }

  list(): readonly Slot[] {
    return this.#slots;
  }

  /** Adds a slot. @throws CV_LIMIT_EXCEEDED */
  add(holder: LocalKeyHolder, draft: SlotDraft): Promise<Slot> {
    return this.#inTurn(async () => {
      const slot = this.#seal(holder.localKey, this.#fresh(draft));
      const slots = [...this.#slots, slot];
      const others = slots.filter(({ kind }) => kind !== 'recovery').length;
      // While the recovery key is replaced there are two of it: room for both is kept.
      if (others > limits.KEY_SLOT_COUNT_MAX - 2) throw tooMany();
      await this.#store(slots);
      return slot;
    });
  }

  /**
   * Removes a slot and answers what it was. The local key goes with it: what the slot opened until
   * now opens nothing that is stored from then on.
   * @throws CV_SLOT_NOT_FOUND
   * @throws CV_SLOT_IN_USE for a recovery slot: without it the keys could be lost for good
   */
  remove(holder: LocalKeyHolder, id: string): Promise<Slot> {
    return this.#inTurn(async () => {
      const slot = this.#slots.find((candidate) => candidate.id === id);
      if (slot === undefined) throw new ConclaveError('CV_SLOT_NOT_FOUND', 'no slot has this id');
      if (slot.kind === 'recovery') {
        throw new ConclaveError('CV_SLOT_IN_USE', 'the recovery slot cannot be removed');
      }
      const kept = this.#slots.filter((candidate) => candidate.id !== id);
      await this.#storeUnderFresh(holder, kept);
      return slot;
    });
  }

  /**
   * Brings the recovery slots to `wanted`, in one write; answers whether that changed any. When one
   * goes, the local key goes with it. A set that is older than what the slots know is left alone: a
   * log that is replayed after a restart says again what was true once.
   */
  setRecovery(holder: LocalKeyHolder, wanted: readonly RecoveryRow[]): Promise<boolean> {
    return this.#inTurn(async () => {
      const present = recoveryRows(this.#slots);
      const newest = Math.max(0, ...present.map(({ generation }) => generation));
      if (wanted.every(({ generation }) => generation < newest)) return false;
      const isWanted = ({ publicKey }: Pick<Slot, 'publicKey'>): boolean =>
        wanted.some((row) => equalBytes(row.publicKey, publicKey));
      const kept = this.#slots.filter((slot) => slot.kind !== 'recovery' || isWanted(slot));
      const made = wanted
        .filter(({ generation }) => generation > newest)
        .map((row) => this.#fresh(recoveryDraft(row)));
      if (kept.length < this.#slots.length) {
        await this.#storeUnderFresh(holder, [...kept, ...made]);
        return true;
      }
      if (made.length === 0) return false;
      await this.#store([...kept, ...made.map((place) => this.#seal(holder.localKey, place))]);
      return true;
    });
  }

  /**
   * The local key, by the private half of a slot's key, which is not wiped.
   * @throws CV_UNLOCK_FAILED when it is another key
   * @throws CV_ENVELOPE_FORGED when the slot was changed or is of another manager
   */
  open(slot: Slot, privateKey: SecretBytes): SecretBytes {
    const { publicKey, sealed } = slot;
    if (!equalBytes(recipientPublicKey(privateKey), publicKey)) {
      throw new ConclaveError('CV_UNLOCK_FAILED', `the ${slot.kind} slot opens with another key`);
    }
    return openFromRecipient({
      keyPair: { publicKey, privateKey },
      context: slotContext(this.#owner, slot),
      sealed,
    });
  }

  #fresh(draft: SlotDraft): SlotPlace {
    const { clock, random } = this.#tools;
    return { ...draft, id: createId(random), createdAtMs: clock.now() };
  }

  #seal(localKey: SecretBytes, place: SlotPlace): Slot {
    const context = slotContext(this.#owner, place);
    const { publicKey } = place;
    const { random } = this.#tools;
    return {
      ...place,
      sealed: sealToRecipient({ publicKey, context, plaintext: localKey, random }),
    };
  }

  /** Replaces the local key: these slots open the fresh one. */
  #storeUnderFresh(holder: LocalKeyHolder, places: readonly SlotPlace[]): Promise<void> {
    return holder.renew((fresh) => this.#store(places.map((place) => this.#seal(fresh, place))));
  }

  async #store(slots: readonly Slot[]): Promise<void> {
    if (slots.length > limits.KEY_SLOT_COUNT_MAX) throw tooMany();
    await this.#vault.write(FILE, encodeSlots(slots));
    this.#slots = slots;
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(act);
    this.#last = mine.catch(() => undefined);
    return mine;
  }
}

const tooMany = (): ConclaveError =>
  new ConclaveError(
    'CV_LIMIT_EXCEEDED',
    `more than ${limits.KEY_SLOT_COUNT_MAX} slots, of which two are for recovery keys`,
  );

/** The slot of a recovery key, which only its owner opens. */
export function recoveryDraft(row: RecoveryRow): SlotDraft {
  const { publicKey } = row;
  return { kind: 'recovery', detail: '', publicKey, data: encodeRecovery(row) };
}

/** The recovery keys that the slots are sealed to, in their order. */
export function recoveryRows(slots: readonly Slot[]): readonly RecoveryRow[] {
  return slots
    .filter(({ kind }) => kind === 'recovery')
    .map(({ publicKey, data }) => ({ publicKey, ...decodeRecovery(data) }));
}

/** A slot opens at its own place only, with its own description. */
function slotContext(
  { clusterId, nodeId }: KeyOwner,
  { id, kind, createdAtMs, detail, data }: Omit<SlotPlace, 'publicKey'>,
): Uint8Array {
  return encodeFields(['CV-SLOT-1', clusterId, nodeId, id, kind, createdAtMs, detail, data]);
}
