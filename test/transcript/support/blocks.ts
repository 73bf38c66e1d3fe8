/** One command of a transcript with what it is expected to print. */
export interface Block {
  /** Comments and blank lines above the command, as they are. */
  readonly lead: readonly string[];
  /** Line number of the command, from 1. */
  readonly line: number;
  readonly command: string;
  readonly input: readonly string[];
  /** Undefined for a command that was never run: only rewriting accepts it. */
  readonly expected: string | undefined;
}

export interface Transcript {
  readonly blocks: readonly Block[];
  /** Comments below the last command. */
  readonly tail: readonly string[];
}

const SEPARATOR = '----';

const isBetween = (line: string): boolean => line === '' || line.startsWith('#');

/**
 * Reads a transcript: `#` starts a comment, a command line may be followed by input lines, then
 * come `----` and the expected output, which a blank line ends.
 */
export function parseTranscript(text: string): Transcript {
  const lines = text.replace(/\n+$/, '').split('\n');
  const blocks: Block[] = [];
  let at = 0;
  const takeUntil = (isEnd: (line: string) => boolean): string[] => {
    const from = at;
    while (at < lines.length && !isEnd(lines[at] as string)) at++;
    return lines.slice(from, at);
  };
  for (;;) {
    const lead = takeUntil((line) => !isBetween(line));
    if (at >= lines.length) return { blocks, tail: lead };
    const line = at + 1;
    const [command = '', ...input] = takeUntil((text) => text === '' || text === SEPARATOR);
    let expected: string | undefined;
    if (lines[at] === SEPARATOR) {
      at++;
      expected = takeUntil((text) => text === '').join('\n');
    }
    blocks.push({ lead, line, command, input, expected });
  }
}

/** The text of a transcript with other outputs, one per block. */
export function renderTranscript(transcript: Transcript, outputs: readonly string[]): string {
  const parts = transcript.blocks.map(({ lead, command, input }, i) => {
    const gap = i > 0 && lead.length === 0 ? [''] : lead;
    return [...gap, command, ...input, SEPARATOR, outputs[i] ?? ''];
  });
  return `${[...parts, transcript.tail].flat().join('\n')}\n`;
}
