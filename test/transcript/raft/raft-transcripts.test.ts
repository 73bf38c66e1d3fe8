import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { replayFolder, transcriptsIn } from '../support/replay.js';
import { startScenario } from './runner/commands.js';

const FOLDER = new URL('./', import.meta.url);

describe('scenario', () => {
  replayFolder(FOLDER, startScenario);
});

describe('the numbered rules of the Raft library', () => {
  const RULE_COUNT = 65;
  /** The driver decides when a read is served: its tests are with the driver. */
  const DRIVER_TEST = new URL('../../../packages/raft-ts/test/node/reads.test.ts', FOLDER);

  /** Rules named by the first comment of a text, such as `# Rules 3, 5: ...`. */
  const rulesOf = (text: string): number[] => {
    const [, list = ''] = /^# Rules? ([\d, and]+):/.exec(text) ?? [];
    return (list.match(/\d+/g) ?? []).map(Number);
  };

  const texts = transcriptsIn(FOLDER).map((name) => readFileSync(new URL(name, FOLDER), 'utf8'));

  test('each transcript says which rules it shows', () => {
    for (const text of texts) {
      expect(rulesOf(text).length).toBeGreaterThan(0);
    }
  });

  test('each rule is shown by a transcript or a test of the driver', () => {
    const driver = [...readFileSync(DRIVER_TEST, 'utf8').matchAll(/\(rule (\d+)\)/g)];
    const shown = new Set([...texts.flatMap(rulesOf), ...driver.map(([, rule]) => Number(rule))]);
    const all = Array.from({ length: RULE_COUNT }, (_, i) => i + 1);
    expect(all.filter((rule) => !shown.has(rule))).toEqual([]);
    expect([...shown].filter((rule) => !all.includes(rule))).toEqual([]);
  });
});
