import { beforeAll, describe, expect, test } from '@jest/globals';
import {
  createRecoveryKit,
  encodeRecoveryText,
  isRecoverySplit,
  openSealed,
  parseRecoveryText,
  RECOVERY_TEXT_BYTES_MAX,
  RecoveryEntry,
  recoveryId,
  recipientPublicKey,
} from '../src/index.js';
import type { RecoveryKit, RecoveryText, SecretBytes } from '../src/index.js';
import { DeterministicRandom } from './deterministic-random.js';
import { ascii, bytesOf, refusal, secretFrom, textOf } from './support.js';

const random = new DeterministicRandom('recovery');
let whole: RecoveryKit;
let split: RecoveryKit;

beforeAll(async () => {
  await openSealed();
  whole = createRecoveryKit(random);
  split = createRecoveryKit(random, { threshold: 3, count: 5 });
});

const parsed = (text: SecretBytes | undefined): RecoveryText => {
  if (text === undefined) throw new Error('there is no such text');
  return text.use(parseRecoveryText);
};

/** Gives texts in this order; the key that comes out, if any. */
function give(
  entry: RecoveryEntry,
  texts: readonly (SecretBytes | undefined)[],
): SecretBytes | undefined {
  let key: SecretBytes | undefined;
  for (const text of texts) key = entry.add(parsed(text));
  return key;
}

describe('a whole key', () => {
  test('opens with its text', () => {
    const key = give(new RecoveryEntry(whole.recipient), whole.texts);
    expect(key && recipientPublicKey(key)).toEqual(whole.recipient.publicKey);
  });

  test('has a text with its id, which says nothing of the key', () => {
    const [text] = whole.texts.map(textOf);
    expect(text).toMatch(/^cvrk1-[a-z2-7]{13}-[a-z2-7]{52}-[a-z2-7]{7}$/);
    expect(recoveryId(whole.recipient.publicKey)).toEqual(parsed(whole.texts[0]).id);
  });

  test('is read as people have it: spaces, line ends and capitals do not matter', () => {
    const text = textOf(whole.texts[0] as SecretBytes);
    const typed = ` ${text.slice(0, 20)} ${text.slice(20).toUpperCase()}\r\n`;
    expect(bytesOf(parseRecoveryText(ascii(typed)).secret)).toEqual(
      bytesOf(parsed(whole.texts[0]).secret),
    );
  });

  test('is noticed when any letter of it is wrong, missing or too many', () => {
    const text = textOf(whole.texts[0] as SecretBytes);
    const code = (bad: string): unknown => refusal(() => parseRecoveryText(ascii(bad))).code;
    for (let place = 0; place < text.length; place += 1) {
      const letter = text[place] === 'b' ? 'c' : 'b';
      expect(code(text.slice(0, place) + letter + text.slice(place + 1))).toBe(
        'CV_RECOVERY_KEY_INVALID',
      );
      expect(code(text.slice(0, place) + text.slice(place + 1))).toBe('CV_RECOVERY_KEY_INVALID');
    }
    for (const bad of ['', 'cvrk1-', `${text}a`, text.repeat(2), 'x'.repeat(10_000)]) {
      expect(code(bad)).toBe('CV_RECOVERY_KEY_INVALID');
    }
  });

  test('of another cluster is named as such and wiped', () => {
    const other = parsed(createRecoveryKit(random).texts[0]);
    const entry = new RecoveryEntry(whole.recipient);
    expect(() => entry.add(other)).toThrow(/belongs to recovery key/);
    expect(other.secret.isWiped).toBe(true);
  });

  test('that claims an id which is not its own is refused', () => {
    const { id } = parsed(whole.texts[0]);
    const forged = encodeRecoveryText({
      id,
      secret: secretFrom(new Uint8Array(32)),
      place: undefined,
    });
    const entry = new RecoveryEntry(whole.recipient);
    expect(refusal(() => entry.add(parseRecoveryText(forged))).code).toBe('CV_RECOVERY_KEY_WRONG');
  });
});

describe('a split key', () => {
  test('opens with any three of five, in any order, and not with two', () => {
    for (const order of [
      [0, 1, 2],
      [4, 2, 0],
      [3, 1, 4],
      [2, 4, 3],
    ]) {
      const entry = new RecoveryEntry(split.recipient);
      const [first, second, third] = order.map((place) => split.texts[place]);
      expect(give(entry, [first, second])).toBeUndefined();
      expect([entry.haveCount, entry.needCount]).toEqual([2, 3]);
      const key = give(entry, [third]);
      expect(key && recipientPublicKey(key)).toEqual(split.recipient.publicKey);
      expect(entry.haveCount).toBe(0);
    }
  });

  test('counts a share that is given twice once', () => {
    const entry = new RecoveryEntry(split.recipient);
    expect(give(entry, [split.texts[0], split.texts[0], split.texts[0]])).toBeUndefined();
    expect(entry.haveCount).toBe(1);
  });

  test('names a wrong share at once and goes on with the right ones', () => {
    const entry = new RecoveryEntry(split.recipient);
    const { id, place } = parsed(split.texts[1]);
    const forged = encodeRecoveryText({ id, secret: secretFrom(new Uint8Array(32)), place });
    give(entry, [split.texts[0]]);
    expect(() => entry.add(parseRecoveryText(forged))).toThrow(/share 2 is not one/);
    expect(give(entry, [split.texts[3], split.texts[4]])).toBeDefined();
  });

  test('refuses a share of another set', () => {
    const other = createRecoveryKit(random, { threshold: 3, count: 5 });
    const entry = new RecoveryEntry(split.recipient);
    give(entry, [split.texts[0]]);
    expect(() => give(entry, [other.texts[1]])).toThrow(/belongs to recovery key/);
    expect(entry.haveCount).toBe(1);
  });

  test('has texts that fit the limit and differ', () => {
    const texts = split.texts.map(textOf);
    expect(new Set(texts).size).toBe(5);
    for (const text of texts) {
      expect(text).toMatch(/^cvrs1-[a-z2-7]{13}-[a-z2-7]{5}-[a-z2-7]{52}-[a-z2-7]{7}$/);
      expect(text.length).toBe(RECOVERY_TEXT_BYTES_MAX);
    }
  });

  test('forgets its shares', () => {
    const entry = new RecoveryEntry(split.recipient);
    const share = parsed(split.texts[0]);
    entry.add(share);
    entry.wipe();
    expect([entry.haveCount, share.secret.isWiped]).toEqual([0, true]);
  });
});

test.each([
  [0, 0, true],
  [0, 2, false],
  [1, 2, false],
  [2, 2, true],
  [3, 2, false],
  [2, 16, true],
  [2, 17, false],
])('threshold %d of %d shares is possible: %s', (threshold, count, isPossible) => {
  const shareHashes = Array.from({ length: count }, () => new Uint8Array(32));
  const { publicKey } = whole.recipient;
  expect(isRecoverySplit({ publicKey, threshold, shareHashes })).toBe(isPossible);
});
