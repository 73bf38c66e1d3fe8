import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseTranscript } from '../support/blocks.js';
import { replayFolder, transcriptsIn } from '../support/replay.js';
import { startDialog } from './support/dialog.js';

const FOLDER = new URL('./', import.meta.url);

describe('dialog', () => {
  replayFolder(FOLDER, startDialog);
});

test('what is typed or piped as a value or a token is never printed', () => {
  let seen = 0;
  for (const name of transcriptsIn(FOLDER)) {
    const { blocks } = parseTranscript(readFileSync(new URL(name, FOLDER), 'utf8'));
    for (const { command, expected = '', input } of blocks) {
      // Values and tokens of the dialogs contain this word, wherever they stand.
      const given = [command, ...input].filter((line) => line.includes('hidden'));
      seen += given.length;
      expect({ name, command, isShown: expected.includes('hidden') }).toMatchObject({
        isShown: false,
      });
    }
  }
  expect(seen).toBeGreaterThan(10);
});
