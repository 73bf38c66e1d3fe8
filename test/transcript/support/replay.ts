import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import type { Block, Transcript } from './blocks.js';
import { parseTranscript, renderTranscript } from './blocks.js';

/** Set to 1, outputs are written into the files instead of being compared; review the diff. */
const isRewriting = process.env['CONCLAVE_REWRITE'] === '1';

/** Runs one command and answers what it printed, without a line end. */
export type RunBlock = (block: Block) => string | Promise<string>;

/** Names of the transcripts in a folder. */
export function transcriptsIn(folder: URL): string[] {
  return readdirSync(fileURLToPath(folder))
    .filter((name) => name.endsWith('.txt'))
    .toSorted();
}

async function outputsOf(transcript: Transcript, run: RunBlock): Promise<string[]> {
  const outputs: string[] = [];
  for (const block of transcript.blocks) outputs.push(await run(block));
  return outputs;
}

/** One test per transcript of a folder; each gets a runner of its own. */
export function replayFolder(folder: URL, start: () => RunBlock): void {
  test.each(transcriptsIn(folder))('%s', async (name) => {
    const path = fileURLToPath(new URL(name, folder));
    const text = readFileSync(path, 'utf8');
    const transcript = parseTranscript(text);
    expect(transcript.blocks.length).toBeGreaterThan(0);
    const actual = renderTranscript(transcript, await outputsOf(transcript, start()));
    if (isRewriting) writeFileSync(path, actual);
    // A missing expectation shows as a difference: the rendered text has it.
    else expect(actual).toBe(text);
  });
}
