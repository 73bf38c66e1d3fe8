import { describe, expect, test } from '@jest/globals';
import { mergeSources } from '../src/merge-sources.js';
import { settle } from './founded-cluster.js';

interface Item {
  readonly text: string;
}

/** Says `count` things as fast as it may. */
async function* talking(name: string, count: number): AsyncGenerator<Item> {
  for (let number = 0; number < count; number += 1) {
    await Promise.resolve();
    yield { text: `${name}${number}` };
  }
}

/** Says nothing until it is told to end. */
async function* silent(signal: AbortSignal, ended: string[]): AsyncGenerator<Item> {
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  ended.push('silent');
  yield { text: 'too late' };
}

async function take(items: AsyncGenerator<Item>, count: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) {
    const { done, value } = await items.next();
    if (done === true) break;
    texts.push(value.text);
  }
  return texts;
}

describe('merged sources', () => {
  test('end when all have ended, and keep the order of each', async () => {
    const merged = mergeSources(() => [talking('a', 100), talking('b', 100)], undefined);
    const texts = await take(merged, 1_000);
    expect(texts).toHaveLength(200);
    const ofA = texts.filter((text) => text.startsWith('a'));
    expect(ofA).toEqual(Array.from({ length: 100 }, (_, number) => `a${number}`));
  });

  test('one that talks without end leaves the others their turn', async () => {
    const merged = mergeSources(() => [talking('a', Infinity), talking('b', 500)], undefined);
    const texts = await take(merged, 600);
    expect(texts.filter((text) => text.startsWith('b')).length).toBeGreaterThan(200);
    await merged.return();
  });

  test('are told to end when the reader goes, also those that say nothing', async () => {
    const ended: string[] = [];
    const merged = mergeSources((signal) => [silent(signal, ended), talking('a', 3)], undefined);
    expect(await take(merged, 3)).toEqual(['a0', 'a1', 'a2']);
    await merged.return();
    await settle();
    expect(ended).toEqual(['silent']);
  });

  test('end with the signal while everybody is silent', async () => {
    const ended: string[] = [];
    const caller = new AbortController();
    const merged = mergeSources((signal) => [silent(signal, ended)], caller.signal);
    const next = merged.next();
    caller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    await settle();
    expect(ended).toEqual(['silent']);
  });

  test('fail with the first one that fails', async () => {
    async function* failing(): AsyncGenerator<Item> {
      await Promise.resolve();
      yield { text: 'one' };
      throw new Error('broken');
    }
    const merged = mergeSources(() => [failing()], undefined);
    expect(await take(merged, 1)).toEqual(['one']);
    await expect(merged.next()).rejects.toThrow('broken');
  });
});
