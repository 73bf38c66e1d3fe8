import {
  ConclaveError,
  delay,
  encodeBase32,
  equalBytes,
  jitter,
  toConclaveError,
} from '@conclave/kernel';
import type { TimerHandle } from '@conclave/kernel';
import { recoveryRows } from '@conclave/manager';
import type { ControlApi, KeySlots, Slot } from '@conclave/manager';
import { identityOf } from '@conclave/pki';
import { parseRecoveryText, RecoveryEntry, recoveryId } from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import type { UnlockResponseInput } from '@conclave/wire';
import type { MemberIdentity } from './identity-file.js';
import type { Farewell, Member, RoleStatus, Surroundings } from './member.js';
import type { SlotAdmin } from './slot-admin.js';
import { openBySlot } from './unlock/auto-unlock.js';

/** Milliseconds before the second try of the slots that need no person; doubles to the longest. */
const RETRY_MS_FIRST = 1_000;
const RETRY_MS_MAX = 60_000;
/** Milliseconds for which shares wait for the next one. */
const SHARES_MS_MAX = 15 * 60_000;

/** What a locked manager is made of. */
export interface LockedMemberOptions {
  readonly around: Surroundings;
  readonly identity: MemberIdentity;
  readonly slots: KeySlots;
  /**
   * Takes up the role with the local key, which is the callee's; when it fails this host stays
   * locked.
   */
  readonly unlocked: (locked: LockedMember, localKey: SecretBytes) => Promise<void>;
}

/**
 * A manager whose keys have not been opened since its start. It has no part in the quorum, listens
 * on no port, and answers status and unlock. Slots that need no person are tried again and again.
 */
export class LockedMember implements Member {
  readonly role = 'manager';
  /** Nothing that could fail runs yet. */
  readonly fatal: Promise<Error> = new Promise(() => undefined);
  readonly slotStore: KeySlots;
  readonly identity: MemberIdentity;
  readonly #options: LockedMemberOptions;
  readonly #entries: readonly { readonly slot: Slot; readonly entry: RecoveryEntry }[];
  readonly #end = new AbortController();
  /** Why the last try of a slot failed. */
  #problem = '';
  #patience: TimerHandle | undefined;

  private constructor(options: LockedMemberOptions) {
    this.#options = options;
    this.slotStore = options.slots;
    this.identity = options.identity;
    const recovery = options.slots.list().filter(({ kind }) => kind === 'recovery');
    const recipients = recoveryRows(recovery);
    this.#entries = recovery.flatMap((slot, place) => {
      const recipient = recipients[place];
      return recipient === undefined ? [] : [{ slot, entry: new RecoveryEntry(recipient) }];
    });
  }

  /** Begins to try the slots that need no person. */
  static start(options: LockedMemberOptions): LockedMember {
    const locked = new LockedMember(options);
    options.around.logger.warn('keys.locked', {});
    void locked.#tryAlone();
    return locked;
  }

  get control(): ControlApi {
    throw lockedError();
  }

  get slots(): SlotAdmin {
    throw lockedError();
  }

  status(): RoleStatus {
    const ids = this.#entries.map(({ slot }) => idOf(slot)).join(' or ');
    const given = this.#entries
      .filter(({ entry }) => entry.haveCount > 0)
      .map(({ entry }) => `; ${entry.haveCount} of ${entry.needCount} shares were given`);
    const problem = this.#problem === '' ? '' : `; ${this.#problem}`;
    return {
      certificateNotAfterMs: identityOf(this.identity.certificateDer).notAfterMs,
      message: `locked: its keys open with recovery key ${ids}${given.join('')}${problem}`,
      connectedManager: '',
      runningTasks: 0,
      heldVersions: 0,
      medium: '',
    };
  }

  membership(): string {
    return '';
  }

  /**
   * Takes the text of the recovery key or of one share, which is not wiped.
   * @throws CV_RECOVERY_KEY_INVALID, CV_RECOVERY_KEY_WRONG
   * @throws whatever keeps the opened manager from starting
   */
  async unlock(text: SecretBytes): Promise<UnlockResponseInput> {
    const parsed = text.use(parseRecoveryText);
    const found = this.#entries.find(({ slot }) =>
      equalBytes(recoveryId(slot.publicKey), parsed.id),
    );
    const { entry, slot } = found ?? this.#entries[0] ?? {};
    if (entry === undefined || slot === undefined) throw lockedError();
    const { needCount } = entry;
    const key = entry.add(parsed);
    this.#forgetLater();
    if (key === undefined) return { isUnlocked: false, haveCount: entry.haveCount, needCount };
    try {
      await this.#options.unlocked(this, this.slotStore.open(slot, key));
    } finally {
      key.wipe();
    }
    return { isUnlocked: true, haveCount: needCount, needCount };
  }

  /** Without its keys this host cannot tell the others; only they can take it off the list. */
  leave(force: boolean): Promise<Farewell> {
    if (force) return Promise.resolve('untold');
    throw new ConclaveError('CV_LOCKED', 'this manager is locked and cannot take its leave', {
      hint:
        'Unlock it first, or destroy its keys with: conclave leave --force, and remove it on ' +
        'another manager with: conclave node rm --force.',
    });
  }

  /** A locked manager gets no other role. */
  retire(): Promise<void> {
    return this.stop();
  }

  stop(): Promise<void> {
    this.#end.abort();
    this.#patience?.cancel();
    for (const { entry } of this.#entries) entry.wipe();
    return Promise.resolve();
  }

  async #tryAlone(): Promise<void> {
    const { timers, random } = this.#options.around;
    const slots = this.slotStore.list().filter(({ kind }) => kind !== 'recovery');
    if (slots.length === 0) return;
    for (let pauseMs = RETRY_MS_FIRST; ; pauseMs = Math.min(2 * pauseMs, RETRY_MS_MAX)) {
      for (const slot of slots) if (await this.#trySlot(slot)) return;
      await delay(timers, jitter(random, pauseMs, 0.3), this.#end.signal);
      if (this.#end.signal.aborted) return;
    }
  }

  /** True when there is nothing left to try. */
  async #trySlot(slot: Slot): Promise<boolean> {
    const { around, unlocked } = this.#options;
    try {
      const localKey = await openBySlot(this.slotStore, slot, around);
      if (this.#end.signal.aborted) localKey.wipe();
      else await unlocked(this, localKey);
      return true;
    } catch (error) {
      this.#problem = toConclaveError(error).message;
      around.logger.warn('keys.slot-failed', { slotId: slot.id, error });
      return this.#end.signal.aborted;
    }
  }

  /** Shares of people who went away must not wait for ever in memory. */
  #forgetLater(): void {
    this.#patience?.cancel();
    this.#patience = this.#options.around.timers.after(SHARES_MS_MAX, () => {
      for (const { entry } of this.#entries) entry.wipe();
    });
  }
}

/** The error of everything that a locked manager does not do. */
export function lockedError(): ConclaveError {
  return new ConclaveError('CV_LOCKED', 'this manager is locked');
}

const idOf = (slot: Slot): string => encodeBase32(recoveryId(slot.publicKey));
