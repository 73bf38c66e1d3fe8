import type { ErrorCode } from '@conclave/kernel';
import { ERROR_TABLE } from '@conclave/kernel';
import { FakeInput, FakeOutput } from '../../../../packages/cli/test/support/fake-io.js';
import type { FakeIo } from '../../../../packages/cli/test/support/fake-io.js';
import { MemoryContexts } from '../../../../packages/cli/test/support/memory-contexts.js';
import { runCommand } from '../../../../packages/cli/test/support/run-command.js';
import type { Block } from '../../support/blocks.js';
import { SmallCluster } from './small-cluster.js';

/** An output that notes which stream wrote what, in the order of time. */
class NotedOutput extends FakeOutput {
  readonly #note: (text: string) => void;

  constructor(isTerminal: boolean, note: (text: string) => void) {
    super(isTerminal);
    this.#note = note;
  }

  override write(data: string | Uint8Array): Promise<void> {
    this.#note(typeof data === 'string' ? data : new TextDecoder().decode(data));
    return super.write(data);
  }
}

/** Words as a shell splits them. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}

const isCode = (text: string): text is ErrorCode => Object.hasOwn(ERROR_TABLE, text);

/** A line that says what the cluster is like, such as `@ node worker-1 DOWN`. */
function arrange(cluster: SmallCluster, line: string): void {
  const [what = '', ...rest] = line.split(' ');
  const [first = '', second = ''] = rest;
  const others = rest.slice(2).join(' ');
  if (what === 'node') cluster.addNode(first, second);
  else if (what === 'problem') {
    const [message = '', next = ''] = rest.slice(1).join(' ').split(' -> ');
    cluster.addProblem({ code: first, message, next });
  } else if (what === 'fails' && isCode(second)) cluster.fail(first, second, others);
  else throw new Error(`"@ ${line}" is not understood`);
}

interface Input {
  readonly typed: readonly string[];
  readonly piped: readonly string[];
}

function inputOf(cluster: SmallCluster, lines: readonly string[]): Input {
  const typed: string[] = [];
  const piped: string[] = [];
  for (const line of lines) {
    const [mark, text] = [line.slice(0, 2), line.slice(2)];
    if (mark === '@ ') arrange(cluster, text);
    else if (mark === '> ' || line === '>') typed.push(`${text}\n`);
    else if (mark === '< ') piped.push(text);
    else throw new Error(`"${line}" is neither typed, piped nor about the cluster`);
  }
  return { typed, piped };
}

/** Output with the number of its stream in front of each line. */
function render(notes: readonly (readonly [stream: string, text: string])[]): string[] {
  const lines: string[] = [];
  let open = '';
  const end = (): void => {
    if (open !== '') lines.push(open.trimEnd());
    open = '';
  };
  for (const [stream, text] of notes) {
    // The terminal echoes the end of the line that answers a question.
    if (!open.startsWith(stream) || open.endsWith('[y/N] ')) end();
    for (const part of text.split(/(?<=\n)/)) {
      if (open === '') open = `${stream}| `;
      open += part;
      if (part.endsWith('\n')) end();
    }
  }
  end();
  return lines;
}

/** A dialog: command lines against one small cluster, one after the other. */
export function startDialog(): (block: Block) => Promise<string> {
  const cluster = new SmallCluster();
  const answers = cluster.answers();
  const contexts = new MemoryContexts();
  const requestKeys = new MemoryContexts();
  return async ({ command, input }) => {
    const { typed, piped } = inputOf(cluster, input);
    const [program, ...argv] = wordsOf(command);
    if (program !== 'conclave') throw new Error(`"${command}" does not begin with conclave`);
    const notes: [string, string][] = [];
    const isTerminal = typed.length > 0;
    const io: FakeIo = {
      stdin: new FakeInput(isTerminal ? typed : piped, isTerminal),
      stdout: new NotedOutput(isTerminal, (text) => notes.push(['1', text])),
      stderr: new NotedOutput(isTerminal, (text) => notes.push(['2', text])),
      env: { NO_COLOR: '1' },
      userId: 1000,
    };
    const { code } = await runCommand(argv, { answers, contexts, requestKeys, io });
    return [...render(notes), `exit ${code}`].join('\n');
  };
}
